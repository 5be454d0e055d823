//! `filmlab serve`

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;

use super::exit::Exit;
use super::signal::StopSignals;
use crate::app::App;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::job::{Code, Failure};
use crate::telemetry::spans::{self, Export, Exporting};
use crate::telemetry::{self, LogFormat};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Address to listen on, instead of `server.listen`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(
    args: ServeArgs,
    config: &Config,
    signals: StopSignals,
) -> Result<(), Exit> {
    let exporting = exporting(config)?;
    telemetry::start(&config.log.filter, &config.log.format);
    let served = served(args, config, signals).await;
    if let Some(exporting) = exporting {
        exporting.end().await;
    }
    served
}

/// Traces, where the settings say whereto.
fn exporting(config: &Config) -> Result<Option<Exporting>, Failure> {
    let Some(endpoint) = &config.telemetry.endpoint else {
        return Ok(None);
    };
    let (service, version) = match &config.log.format {
        LogFormat::Cloud(name) => (name.service.clone(), name.version.clone()),
        _ => ("filmlab".to_owned(), env!("FILMLAB_VERSION").to_owned()),
    };
    let export = Export {
        endpoint: endpoint.clone(),
        authorization: config.telemetry.authorization.clone(),
        share: config.telemetry.share,
        service,
        version,
        instance: ulid::Ulid::new().to_string().to_lowercase(),
    };
    let started = spans::start(&export);
    started
        .map(Some)
        .map_err(|error| Failure::new(Code::InvalidConfig, error.to_string()))
}

async fn served(args: ServeArgs, config: &Config, mut signals: StopSignals) -> Result<(), Exit> {
    let mut config = config.clone();
    if let Some(listen) = args.listen {
        if !listen.ip().is_loopback()
            && config.server.api_tokens.is_empty()
            && config.server.jobs_api
        {
            let fault = "--listen: others than this machine could reach the jobs API; set server.api_tokens first";
            return Err(Exit::Usage(vec![fault.into()]));
        }
        config.server.listen = listen;
    }
    // What is missing is told before anything is taken, the address included.
    App::check(&config)?;
    let (listener, address) = bind(config.server.listen).await?;
    // A start may have to ask somebody: being stopped meanwhile is an end in order as well.
    let app = tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::info!(%signal, "stopped before it served");
            return Ok(());
        }
        app = App::build(&config, address, Arc::new(SystemClock)) => app?,
    };
    tracing::info!(%address, data = %config.data_dir.display(), "filmlab serves");
    let stop = async move {
        signals.next().await;
    };
    Ok(app.run(listener, stop).await?)
}

/// Takes the address.
pub(super) async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let taken = async {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, address))
    };
    taken.await.map_err(|error| {
        let what_to_do = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "; something else listens there (a filmlab that runs already?): stop it, or choose \
                 another port with --listen ADDRESS:PORT or server.listen"
            }
            _ => "",
        };
        Failure::new(
            Code::InvalidConfig,
            format!("cannot listen on {listen}: {error}{what_to_do}"),
        )
    })
}
