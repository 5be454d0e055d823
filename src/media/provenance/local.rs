//! A key on this machine, with its certificates.

use std::io::{self, Write as _};
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::chain::Chain;
use super::cose::Signer;
use crate::staging::disk::{Disk as _, SystemDisk};
use crate::staging::folder_of;

/// Signs with a key that it holds.
pub struct LocalSigner {
    chain: Chain,
    key: EcdsaKeyPair,
}

impl std::fmt::Debug for LocalSigner {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalSigner")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

impl Signer for LocalSigner {
    fn chain(&self) -> &[Vec<u8>] {
        self.chain.certificates()
    }

    fn sign(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let signature = self.key.sign(&SystemRandom::new(), bytes);
        let signature = signature.map_err(|_| io::Error::other("the key does not sign"))?;
        Ok(signature.as_ref().to_vec())
    }
}

impl LocalSigner {
    /// Of PEM: the chain, the signer's certificate first, and the key as PKCS #8.
    ///
    /// # Errors
    /// In words, what is wrong with them.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain = Chain::from_pem(certificates)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(key)
            .map_err(|error| format!("the key is no PKCS #8 in PEM: {error}"))?;
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der())
                .map_err(|_| "the key is none for ES256 (P-256)".to_owned())?;
        let public = key.public_key().as_ref();
        let first = chain.certificates().first();
        if !first.is_some_and(|der| der.windows(public.len()).any(|part| part == public)) {
            return Err("the key does not belong to the first certificate".to_owned());
        }
        Ok(Self { chain, key })
    }

    /// Reads the file, or makes it: key, certificate and root, for this user only. What it signs is
    /// on no list of whom to trust.
    ///
    /// # Errors
    /// In words, what keeps it from that.
    pub fn load_or_make(file: &Path) -> Result<Self, String> {
        let said = |error: io::Error| format!("{}: {error}", file.display());
        let read = || std::fs::read(file);
        let pem = match read() {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = make().map_err(|error| error.to_string())?;
                match place(file, made.as_bytes()) {
                    Ok(()) => made.into_bytes(),
                    // Another process was first.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        read().map_err(said)?
                    }
                    Err(error) => return Err(said(error)),
                }
            }
            Err(error) => return Err(said(error)),
        };
        Self::from_pem(&pem, &pem).map_err(|why| format!("{}: {why}", file.display()))
    }

    /// Its certificates.
    #[must_use]
    pub fn certificates(&self) -> &Chain {
        &self.chain
    }
}

/// A key of its own, and a root that signs its certificate and is then thrown away.
fn make() -> Result<String, rcgen::Error> {
    let params = |name: &str| -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "filmlab on this machine");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2046, 1, 1);
        Ok(params)
    };
    let mut root = params("filmlab root")?;
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let root_certificate = root.self_signed(&root_key)?;
    let mut leaf = params("filmlab")?;
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = leaf.signed_by(&key, &Issuer::new(root, &root_key))?;
    Ok([
        key.serialize_pem(),
        certificate.pem(),
        root_certificate.pem(),
    ]
    .concat())
}

/// Whole under another name first: of two processes that start at once, one is refused.
fn place(file: &Path, pem: &[u8]) -> io::Result<()> {
    let mut staged = tempfile::Builder::new()
        .prefix(".signing.pem.")
        .suffix(".part")
        .tempfile_in(folder_of(file))?;
    staged.write_all(pem)?;
    staged.as_file().sync_all()?;
    std::fs::hard_link(staged.path(), file)?;
    SystemDisk.sync_folder(folder_of(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_this_user_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("signing.pem");
        let first = LocalSigner::load_or_make(&file).unwrap();
        let second = LocalSigner::load_or_make(&file).unwrap();
        assert_eq!(first.chain(), second.chain());
        assert_eq!(first.chain().len(), 2);
        assert_eq!(
            first.certificates().until().to_string(),
            "2046-01-01T00:00:00Z"
        );
        assert_eq!(first.sign(b"bytes").unwrap().len(), 64);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_cannot_sign_is_told() {
        let (one, other) = (make().unwrap(), make().unwrap());
        let why = |certificates: &str, key: &str| {
            LocalSigner::from_pem(certificates.as_bytes(), key.as_bytes()).unwrap_err()
        };
        assert!(why(&one, &other).contains("does not belong"));
        assert!(why("", &one).contains("0 certificates"));
        assert!(why(&one, "nonsense").contains("PKCS #8"));
        assert!(why(&one.repeat(5), &one).contains("10 certificates"));
        let rsa_or_other = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(why(&one, rsa_or_other).contains("ES256"));
    }
}
