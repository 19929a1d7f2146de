//! Configs and secrets in a container: a file of the host is bound, read-only; what has its content in the model or in a
//! variable is copied in after the container was made.

use onggi_api::container::Mount;

use super::wrong;
use crate::error::Error;
use crate::service::{Application, Content, FileMount, Service};

/// A file to be copied into a container before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Where it goes.
    pub target: String,
    /// Its mode.
    pub mode: u32,
    /// Its owner.
    pub uid: u64,
    /// Its group.
    pub gid: u64,
    /// What it holds.
    pub content: Vec<u8>,
}

/// The two sections, and the folder that names without a path are in.
fn sections<'a>(
    application: &'a Application,
    service: &'a Service,
) -> impl Iterator<Item = (&'static str, &'a FileMount, Option<&'a Content>, String)> {
    let configs = service.configs.iter().map(|mount| {
        let part = application.configs.get(&mount.source);
        ("configs", mount, part, target(mount, "/"))
    });
    let secrets = service.secrets.iter().map(|mount| {
        let part = application.secrets.get(&mount.source);
        ("secrets", mount, part, target(mount, "/run/secrets/"))
    });
    configs.chain(secrets)
}

fn target(mount: &FileMount, folder: &str) -> String {
    match mount.target.as_str() {
        "" => format!("{folder}{}", mount.source),
        target if target.starts_with('/') => target.to_owned(),
        target => format!("{folder}{target}"),
    }
}

/// Those that are files of the host.
pub(super) fn bound(application: &Application, service: &Service) -> Result<Vec<Mount>, Error> {
    let mut all = Vec::new();
    for (section, mount, part, target) in sections(application, service) {
        let Some(part) = part else {
            continue;
        };
        if part.external || !part.driver.is_empty() || !part.template_driver.is_empty() {
            let message = format!("{section}.{} is kept by a swarm", mount.source);
            let hint = "give it a file, an environment variable or its content";
            return Err(wrong(service, section, message).hint(hint).into());
        }
        if let Some(file) = &part.file {
            let source = application.directory.join(file);
            all.push(Mount {
                kind: "bind".to_owned(),
                source: source.to_string_lossy().into_owned(),
                target,
                read_only: true,
                ..Mount::default()
            });
        }
    }
    Ok(all)
}

/// Those whose content is known here.
///
/// # Errors
/// A variable that is not set, an owner that is no number, and a container that nothing can be written to.
pub fn copied(application: &Application, service: &Service) -> Result<Vec<Copied>, Error> {
    let mut all = Vec::new();
    for (section, mount, part, target) in sections(application, service) {
        let Some(part) = part.filter(|part| part.file.is_none() && !part.external) else {
            continue;
        };
        let content = match (&part.content, &part.environment) {
            (Some(content), _) => content.clone(),
            (None, Some(variable)) => match application.variables.get(variable) {
                Some(value) => value.clone(),
                None => {
                    let message = format!(
                        "{section}.{}: environment variable \"{variable}\" is not set",
                        mount.source
                    );
                    return Err(wrong(service, section, message).into());
                }
            },
            (None, None) => continue,
        };
        if service.read_only {
            let message = format!(
                "{section}.{} cannot be written to a container whose file system is read-only",
                mount.source
            );
            let hint = "put its content into a file and name that with `file`";
            return Err(wrong(service, section, message).hint(hint).into());
        }
        let number = |text: &str, what: &str| match text {
            "" => Ok(0),
            text => text.parse().map_err(|_| {
                let message = format!("{section}.{}: {what} \"{text}\" is no number", mount.source);
                wrong(service, section, message)
            }),
        };
        all.push(Copied {
            target,
            mode: mount.mode.unwrap_or(0o444),
            uid: number(&mount.uid, "uid")?,
            gid: number(&mount.gid, "gid")?,
            content: content.into_bytes(),
        });
    }
    Ok(all)
}
