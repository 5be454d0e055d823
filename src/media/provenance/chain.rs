//! A signer's certificates, as PEM brings them.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::certificate;

/// Longest file of a key or of certificates that is read.
pub const MOST_PEM: usize = 64 << 10;

/// Certificates of a chain: a leaf, a root, and what may stand between them.
const MOST_CERTIFICATES: usize = 8;

/// COSE's number of ES256 is −7.
const ES256: u64 = 6;

/// The signer's certificate first.
#[derive(Clone, Debug)]
pub struct Chain {
    certificates: Vec<Vec<u8>>,
    from: Timestamp,
    until: Timestamp,
}

impl Chain {
    /// Of PEM.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let certificates = CertificateDer::pem_slice_iter(pem)
            .map(|certificate| certificate.map(|der| der.to_vec()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("the certificates are no PEM: {error}"))?;
        if certificates.is_empty() || certificates.len() > MOST_CERTIFICATES {
            let found = certificates.len();
            return Err(format!(
                "there are {found} certificates, 1 to {MOST_CERTIFICATES} are taken"
            ));
        }
        let (mut from, mut until) = (Timestamp::MIN, Timestamp::MAX);
        for der in &certificates {
            let times = certificate::times(der);
            let (begins, ends) = times.ok_or("a certificate does not say how long it is good")?;
            (from, until) = (from.max(begins), until.min(ends));
        }
        Ok(Self {
            certificates,
            from,
            until,
        })
    }

    /// DER.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// From when on all of them are good.
    #[must_use]
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// When the first of them ends.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Whether the first certificate's key made an ES256 signature.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let first = self.certificates.first();
        first
            .and_then(|der| certificate::read(der)?.verifies(ES256, message, signature))
            .unwrap_or(false)
    }
}
