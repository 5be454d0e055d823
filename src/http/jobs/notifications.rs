//! What was told about a job, and telling it again.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::job::find;
use super::{actions, request};
use crate::http::caller::Caller;
use crate::http::refusals::problems;
use crate::http::routes::Routes;
use crate::http::{HttpState, Problem, api};
use crate::job::notice::DeliveryState;
use crate::job::{Event, JobId, Notice, Timestamp};

/// The notices of a job, first round first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NotificationList {
    pub notifications: Vec<NotificationView>,
}

/// A round's terminal notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Notification)]
pub struct NotificationView {
    /// The same over all deliveries.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    pub event: Event,
    /// How it travels: `log`, `webhook` or `fcm`.
    pub channel: String,
    pub state: DeliveryState,
    /// Tries so far.
    pub deliveries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it is tried next; absent once delivered or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl From<&Notice> for NotificationView {
    fn from(notice: &Notice) -> Self {
        Self {
            id: notice.id.clone(),
            round: notice.round(),
            event: notice.event,
            channel: notice.channel.name().to_owned(),
            state: notice.state,
            deliveries: notice.deliveries,
            last_error: notice.last_error.clone(),
            next_at: notice.next_at,
            created_at: notice.created_at,
        }
    }
}

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(replay))
}

problems!(ListProblems: Unauthorized, NotFound, InvalidJob, LedgerUnavailable);

/// List a job's notifications
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/notifications",
    operation_id = "listNotifications",
    tag = "jobs",
    security(("apiToken" = [])),
    params(("id" = JobId, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "One for each round that has ended.", body = NotificationList),
        ListProblems,
    ),
)]
async fn list(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = find(&state, &caller, &id).await?;
    let notices = state.ledger.notices(&job.id).await?;
    let list = NotificationList {
        notifications: notices.iter().map(NotificationView::from).collect(),
    };
    Ok(axum::Json(list).into_response())
}

problems!(ReplayProblems: InvalidRequest, Unauthorized, Unauthorized as FORBIDDEN, NotFound, Conflict, RequestTooLarge,
    UnsupportedMediaType, InvalidJob, LedgerUnavailable, Overloaded, InvalidRequest as REQUEST_TIMEOUT);

/// Tell it again
///
/// The notification of a round, by default the last one, is delivered again under its own id.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/notifications/replay",
    operation_id = "replayNotification",
    tag = "jobs",
    security(("apiToken" = [])),
    params(("id" = JobId, Path, description = "The job's id.")),
    request_body(content = ref("#/components/schemas/ReplayOptions"),
        content_type = "application/json", example = json!({"round": 1})),
    responses(
        (status = 202, description = "It is on its way.", body = NotificationView),
        ReplayProblems,
    ),
)]
async fn replay(
    State(state): State<HttpState>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let body = api::optional_json(request, &state).await?;
    let round = request::read_replay(&body).map_err(Problem::faults)?;
    let notice = actions::replay(&state, &caller, &id, round).await?;
    let view = NotificationView::from(&notice);
    Ok((StatusCode::ACCEPTED, axum::Json(view)).into_response())
}
