//! `filmlab ready`: asks a running service whether it can take work. For health checks of
//! containers, whose image has no other program, and for scripts.

use clap::Args;

use super::client::ClientError;
use super::exit::say;
use super::server::ServerArgs;
use crate::job::{Code, Failure};

#[derive(Debug, Args)]
pub(super) struct ReadyArgs {
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(args: &ReadyArgs) -> Result<(), Failure> {
    let found = args.server.client()?.readiness().await?;
    let missing = found.missing();
    if missing.is_empty() {
        say("ready");
        return Ok(());
    }
    let message = format!("not ready: {missing}");
    Err(ClientError::unavailable(Code::ServiceUnreachable, message).into())
}
