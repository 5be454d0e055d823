//! The flags.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use crate::job::Kind;

#[derive(Debug, Clone, Args)]
pub struct SubmitArgs {
    /// What to make: character_replace, extend or upscale.
    #[arg(value_name = "KIND", value_parser = kind)]
    pub kind: Kind,
    /// The video: a file, or an https address.
    #[arg(long, value_name = "FILE|URL")]
    pub video: String,
    /// The character's picture: a file, or an https address.
    #[arg(long, value_name = "FILE|URL")]
    pub image: Option<String>,
    /// What should be seen.
    #[arg(long)]
    pub prompt: Option<String>,
    /// Length of the new part (extend).
    #[arg(long)]
    pub seconds: Option<u32>,
    /// 480p, 720p, 1080p, 4k: as the kind allows.
    #[arg(long)]
    pub resolution: Option<String>,
    /// 720p, 1080p, 2k, 4k (upscale).
    #[arg(long)]
    pub target: Option<String>,
    /// The same number makes the same choices.
    #[arg(long, allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// Any parameter by its name; may be repeated.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    pub params: Vec<(String, String)>,
    /// The output profile.
    #[arg(long)]
    pub profile: Option<String>,
    /// US dollars that the provider may be paid at most.
    #[arg(long, value_name = "DOLLARS")]
    pub max_price: Option<f64>,
    /// A word to find the job by; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Where the service is.
    #[arg(
        long,
        value_name = "URL",
        env = "FILMLAB_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    pub server: Url,
    /// The API token, if the service wants one.
    #[arg(long, env = "FILMLAB_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Folder for the result; by default one named after the job.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Names this request: the same name again finds the same job.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Print the job's id and leave.
    #[arg(long)]
    pub no_wait: bool,
    /// Say what the job would cost, and make none.
    #[arg(long, conflicts_with_all = ["no_wait", "idempotency_key", "output"])]
    pub quote: bool,
}

pub(in crate::cli) fn kind(text: &str) -> Result<Kind, String> {
    text.replace('-', "_")
        .parse()
        .map_err(|_| "must be character_replace, extend or upscale".to_owned())
}

fn param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}
