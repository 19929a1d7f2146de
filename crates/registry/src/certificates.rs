//! Certificates for single registries, in Docker's layout: `ROOT/HOST:PORT/*.crt` are authorities, `NAME.cert` with
//! `NAME.key` is who we are.
//!
//! A registry may show one of these authorities itself: `openssl req -x509` makes such certificates, everybody's first
//! registry has one, and Go takes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use reqwest::ClientBuilder;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;

use crate::error::Error;

/// The files of one registry, as they were found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Certificates {
    pub(crate) registry: String,
    /// In the order of roots and names, with when they were written.
    files: Vec<(PathBuf, Option<SystemTime>)>,
}

impl Certificates {
    /// What is there for a registry below these folders; nothing where none has a folder for it.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(crate) fn of(roots: &[PathBuf], registry: &str) -> Result<Option<Certificates>, Error> {
        let mut files = Vec::new();
        let mut any = false;
        for root in roots {
            let folder = root.join(registry);
            if !folder.is_dir() {
                continue;
            }
            any = true;
            let failed = |error: std::io::Error| {
                Error::Certificates(
                    registry.to_owned(),
                    format!("{}: {error}", folder.display()),
                )
            };
            let mut found = Vec::new();
            for entry in std::fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                // Through links, as they are often put there.
                let time = std::fs::metadata(entry.path()).and_then(|file| file.modified());
                found.push((entry.path(), time.ok()));
            }
            found.sort();
            files.extend(found);
        }
        Ok(any.then(|| Certificates {
            registry: registry.to_owned(),
            files,
        }))
    }

    /// Gives a client these authorities and this identity. `lax`: whatever the registry shows will do.
    pub(crate) fn apply(&self, builder: ClientBuilder, lax: bool) -> Result<ClientBuilder, Error> {
        let (authorities, identity) = self.read()?;
        let fail = |why: String| Error::Certificates(self.registry.clone(), why);
        if lax {
            let Some((certificate, key)) = identity else {
                return Ok(builder);
            };
            let pem = [certificate, b"\n".to_vec(), key].concat();
            let identity = reqwest::Identity::from_pem(&pem);
            return Ok(builder.identity(identity.map_err(|error| fail(error.to_string()))?));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Verifier::new_with_extra_roots(authorities.clone(), provider.clone())
            .map_err(|error| fail(error.to_string()))?;
        let verifier = OwnAuthorities {
            verifier,
            authorities,
        };
        let config = config(provider, verifier, identity).map_err(fail)?;
        Ok(builder.tls_backend_preconfigured(config))
    }

    /// The authorities, and certificate and key of ours.
    fn read(&self) -> Result<Files, Error> {
        let fail = |why: String| Error::Certificates(self.registry.clone(), why);
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| fail(format!("{}: {error}", path.display())))
        };
        let (mut authorities, mut identity) = (Vec::new(), None);
        for (path, _) in &self.files {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => {
                    let pem = read(path)?;
                    for certificate in CertificateDer::pem_slice_iter(&pem) {
                        authorities.push(
                            certificate
                                .map_err(|error| fail(format!("{}: {error}", path.display())))?,
                        );
                    }
                }
                Some("cert") => {
                    let key = path.with_extension("key");
                    if !key.exists() {
                        return Err(fail(format!(
                            "missing key {} for client certificate {}. CA certificates must use the extension .crt",
                            name(&key),
                            name(path)
                        )));
                    }
                    if identity.is_none() {
                        identity = Some((read(path)?, read(&key)?));
                    }
                }
                Some("key") if !path.with_extension("cert").exists() => {
                    return Err(fail(format!(
                        "missing client certificate {} for key {}",
                        name(&path.with_extension("cert")),
                        name(path)
                    )));
                }
                _ => {}
            }
        }
        Ok((authorities, identity))
    }
}

/// Authorities, and the PEM of certificate and key of ours.
type Files = (Vec<CertificateDer<'static>>, Option<(Vec<u8>, Vec<u8>)>);

fn config(
    provider: Arc<CryptoProvider>,
    verifier: OwnAuthorities,
    identity: Option<(Vec<u8>, Vec<u8>)>,
) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some((certificate, key)) = identity else {
        return Ok(config.with_no_client_auth());
    };
    let chain = CertificateDer::pem_slice_iter(&certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("client certificate: {error}"))?;
    let key =
        PrivateKeyDer::from_pem_slice(&key).map_err(|error| format!("client key: {error}"))?;
    config
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("client certificate: {error}"))
}

/// Verifies as everywhere, and takes an authority for the registry itself when it is one of those that were put there
/// for it and names it.
#[derive(Debug)]
struct OwnAuthorities {
    verifier: Verifier,
    authorities: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for OwnAuthorities {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.verifier
                .verify_server_cert(certificate, intermediates, name, ocsp, now);
        match verified {
            // It is valid by its dates: those are looked at first.
            Err(error) if is_authority(&error) && self.authorities.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Whether all that is wrong with a certificate is that it is an authority's. The error has no type that is not the
/// verifier's own.
fn is_authority(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            other.0.to_string() == "CaUsedAsEndEntity"
        }
        _ => false,
    }
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_halves_are_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let roots = [one.path().to_owned(), two.path().to_owned()];
        let of = || Certificates::of(&roots, "reg.example:5000").unwrap();
        assert_eq!(of(), None);
        let folder = two.path().join("reg.example:5000");
        std::fs::create_dir(&folder).unwrap();
        let before = of().expect("an empty folder is one");
        std::fs::write(folder.join("client.cert"), "x").unwrap();
        let after = of().unwrap();
        assert_ne!(before, after);
        let refused = |certificates: &Certificates| {
            let builder = certificates.apply(reqwest::Client::builder(), false);
            builder.map(drop).unwrap_err().to_string()
        };
        assert!(
            refused(&after).contains("missing key client.key for client certificate client.cert")
        );
        std::fs::remove_file(folder.join("client.cert")).unwrap();
        std::fs::write(folder.join("other.key"), "x").unwrap();
        let text = refused(&of().unwrap());
        assert!(
            text.contains("missing client certificate other.cert for key other.key"),
            "{text}"
        );
    }
}
