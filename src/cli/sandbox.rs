//! `filmlab sandbox`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::exit::{Exit, say};
use super::signal::stop_signal;
use crate::job::{Code, Failure};
use crate::sandbox::{
    CopyMaker, Drift, Drifts, Fault, FaultRule, Faults, Maker, MediaMaker, Sandbox, SandboxConfig,
};
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The key that callers must show.
    #[arg(long, default_value = "sandbox")]
    key: String,
    /// Signs its webhooks.
    #[arg(long, default_value = "whsec_sandbox", value_name = "SECRET")]
    webhook_secret: String,
    /// A fault for every submission, as JSON: '{"fault":"answer_lost"}'; may be repeated. More,
    /// and while it runs, through POST /sandbox/faults.
    #[arg(long = "fault", value_name = "JSON", value_parser = rule)]
    faults: Vec<FaultRule>,
    /// A file with a list of such faults.
    #[arg(long, value_name = "FILE")]
    faults_file: Option<PathBuf>,
    /// How its catalogue has moved, as JSON: '{"drift":"gone","model":"a/b"}'; may be repeated. More,
    /// and while it runs, through POST /sandbox/drifts.
    #[arg(long = "drift", value_name = "JSON", value_parser = drift)]
    drifts: Vec<Drift>,
    /// Makes ids and chances repeatable.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Seconds that a prediction takes at least.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS", value_parser = seconds)]
    min_time: f64,
    /// Predictions that may be under way at once; beyond it answers are 429.
    #[arg(long, default_value_t = 16, value_name = "NUMBER")]
    max_running: usize,
    /// Give each source back as it came instead of making a video: for load, not for looking at.
    #[arg(long)]
    copy: bool,
    /// Keep the sound of videos; like many models, it leaves it out otherwise.
    #[arg(long)]
    audio: bool,
}

fn rule(text: &str) -> Result<FaultRule, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn drift(text: &str) -> Result<Drift, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be seconds from 0 to 86400".to_owned()),
    }
}

pub(super) async fn run(args: SandboxArgs) -> Result<(), Exit> {
    telemetry::start("info", &telemetry::LogFormat::Text);
    let mut faults = args.faults;
    if let Some(file) = &args.faults_file {
        let read = tokio::fs::read_to_string(file)
            .await
            .map_err(|error| error.to_string())
            .and_then(|text| {
                serde_json::from_str::<Faults>(&text).map_err(|error| error.to_string())
            });
        match read {
            Ok(Faults(more)) => faults.extend(more),
            Err(error) => return Err(Exit::Usage(vec![format!("{}: {error}", file.display())])),
        }
    }
    if faults
        .iter()
        .any(|rule| matches!(rule.fault, Fault::SilentVideo))
        && args.audio
    {
        tracing::info!("with --audio, only the faulty videos are silent");
    }
    let config = SandboxConfig {
        listen: args.listen,
        api_key: args.key.clone(),
        webhook_secret: args.webhook_secret,
        min_time: Duration::from_secs_f64(args.min_time),
        max_running: args.max_running,
        audio: args.audio,
        seed: args.seed,
        faults: Faults(faults),
        drifts: Drifts(args.drifts),
        ..SandboxConfig::default()
    };
    let stopped =
        |error: std::io::Error| Failure::new(Code::InvalidConfig, format!("the sandbox: {error}"));
    let maker: Arc<dyn Maker> = if args.copy {
        Arc::new(CopyMaker)
    } else {
        Arc::new(MediaMaker)
    };
    let bound = Sandbox::bind_with(config, maker).await.map_err(stopped)?;
    let base_url = bound.handle().base_url();
    say(&format!("A stand-in for the WaveSpeed API: {base_url}"));
    say("In another shell:");
    say(&format!(
        "  WAVESPEED_BASE_URL={} WAVESPEED_API_KEY={} filmlab serve",
        base_url.as_str().trim_end_matches('/'),
        args.key
    ));
    Ok(bound.run(stop_signal()).await.map_err(stopped)?)
}
