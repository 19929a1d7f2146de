//! Certificates for single registries, in Docker's layout: `ROOT/HOST:PORT/*.crt` are authorities, `NAME.cert` with
//! `NAME.key` is who we are.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reqwest::ClientBuilder;

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

    /// Gives a client these authorities and this identity.
    pub(crate) fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, Error> {
        let fail = |why: String| Error::Certificates(self.registry.clone(), why);
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| fail(format!("{}: {error}", path.display())))
        };
        let mut identity = None;
        for (path, _) in &self.files {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => {
                    let found = reqwest::Certificate::from_pem_bundle(&read(path)?)
                        .map_err(|error| fail(format!("{}: {error}", path.display())))?;
                    builder = builder.tls_certs_merge(found);
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
                        let mut pem = read(path)?;
                        pem.push(b'\n');
                        pem.extend(read(&key)?);
                        identity = Some(pem);
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
        match identity {
            Some(pem) => {
                let identity = reqwest::Identity::from_pem(&pem);
                Ok(builder.identity(identity.map_err(|error| fail(error.to_string()))?))
            }
            None => Ok(builder),
        }
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
            let builder = certificates.apply(reqwest::Client::builder());
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
