//! `--docker`: where a context points to, and by which certificates.

use crate::args::Matches;
use crate::error::{Error, Result, path_error};
use crate::settings::Store;
use crate::settings::store::{Metadata, PEMS, Pems};

/// What `--docker` says.
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) skip_verify: bool,
    pub(super) pems: Pems,
}

/// Is this a value of `--docker`?
pub(super) fn check(text: &str) -> std::result::Result<(), String> {
    for field in onggi_model::csv(text) {
        if !field.contains('=') {
            return Err(format!("{field} must be formatted as key=value"));
        }
    }
    Ok(())
}

/// Reads every `--docker`; nothing when none was given.
pub(super) fn read(matches: &Matches, store: &Store) -> Result<Option<Endpoint>> {
    if !matches.given("docker") {
        return Ok(None);
    }
    read_given(matches, store).map(Some).map_err(|error| {
        Error::new(format!(
            "unable to create docker endpoint config: {}",
            error.message
        ))
    })
}

fn read_given(matches: &Matches, store: &Store) -> Result<Endpoint> {
    let mut endpoint = Endpoint {
        host: String::new(),
        skip_verify: false,
        pems: Vec::new(),
    };
    let mut from = None;
    for text in matches.all("docker") {
        for field in onggi_model::csv(text) {
            let (key, value) = field.split_once('=').unwrap_or((&field, ""));
            let pem = match key {
                "host" => {
                    endpoint.host = value.to_owned();
                    continue;
                }
                "skip-tls-verify" => {
                    endpoint.skip_verify = match value {
                        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                        other => {
                            return Err(Error::new(format!(
                                "skip-tls-verify: parsing {}: invalid syntax",
                                crate::quote(other)
                            )));
                        }
                    };
                    continue;
                }
                "from" => {
                    from = Some(value.to_owned());
                    continue;
                }
                "ca" => PEMS[0],
                "cert" => PEMS[1],
                "key" => PEMS[2],
                other => return Err(Error::new(format!("unrecognized config key: {other}"))),
            };
            if !value.is_empty() {
                let bytes =
                    std::fs::read(value).map_err(|error| path_error("open", value, &error))?;
                endpoint.pems.push((pem.to_owned(), bytes));
            }
        }
    }
    if let Some(from) = from {
        let metadata: Metadata = store.read(&from)?;
        return Ok(Endpoint {
            host: metadata.host().to_owned(),
            skip_verify: metadata.skip_verify(),
            pems: store.pems(&from),
        });
    }
    endpoint.pems.sort();
    for (name, bytes) in &endpoint.pems {
        // A file that is no PEM would fail at every use of the context.
        if !String::from_utf8_lossy(bytes).contains("-----BEGIN ") {
            return Err(Error::new(format!(
                "invalid docker endpoint options: failed to retrieve context tls info: {name} seems invalid"
            )));
        }
    }
    Ok(endpoint)
}
