//! Whom we believe over TLS: the system's certificates, read once for all clients of a process.
//!
//! Left to itself every HTTP client reads and parses all of them when it is built; with half a
//! dozen clients that was more than half of the CPU from start to the first answer.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_platform_verifier::Verifier;

static SHARED: OnceLock<Option<ClientConfig>> = OnceLock::new();

/// A client's builder that shares the certificates. Where the system has none, building it fails
/// as it would without.
pub(crate) fn client() -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder();
    match shared() {
        Some(config) => builder.tls_backend_preconfigured(config.clone()),
        None => builder,
    }
}

/// Reads the certificates: beside other work of a start, for whoever will need them. Blocks.
pub(crate) fn read_certificates() {
    shared();
}

fn shared() -> Option<&'static ClientConfig> {
    SHARED.get_or_init(|| config().ok()).as_ref()
}

fn config() -> Result<ClientConfig, rustls::Error> {
    let provider = CryptoProvider::get_default().map_or_else(
        || Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        Arc::clone,
    );
    let verifier = Verifier::new(Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    // As reqwest offers them by itself.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
