//! Which service a command talks to.

use clap::Args;
use url::Url;

use super::client::Client;
use crate::job::Failure;

#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// Where the service is.
    #[arg(
        long,
        value_name = "URL",
        env = "FILMLAB_SERVER",
        default_value = "http://127.0.0.1:8080",
        global = true
    )]
    pub server: Url,
    /// The API token, if the service wants one.
    #[arg(long, env = "FILMLAB_TOKEN", hide_env_values = true, global = true)]
    pub token: Option<String>,
}

impl ServerArgs {
    pub(super) fn client(&self) -> Result<Client, Failure> {
        Client::new(self.server.clone(), self.token.clone())
    }
}
