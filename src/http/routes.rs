//! Routes with their entries in the document, before anything is known of settings.

use utoipa_axum::router::OpenApiRouter;

use super::state::HttpState;

/// Each module gives its own.
pub(super) type Routes = OpenApiRouter<HttpState>;
