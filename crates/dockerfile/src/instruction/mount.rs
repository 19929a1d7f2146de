//! `RUN --mount=type=cache,target=/root/.cache` and its kin.

use onggi_model::units;
use serde::Serialize;

use crate::{Error, suggest};
use onggi_model::quote;

/// What a command sees beside the image, while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// `type`
    pub kind: MountKind,
    /// `from`: a stage, a named context, an image; else the context of the build.
    pub from: Option<String>,
    /// `source`, `src`
    pub source: Option<String>,
    /// `target`, `dst`, `destination`
    pub target: Option<String>,
    /// `ro`, `readonly`, `rw`, `readwrite`: caches and tmpfs may be written unless it says otherwise, nothing else.
    pub read_only: bool,
    /// `id` of a cache, a secret or an agent.
    pub id: Option<String>,
    /// `sharing` of a cache.
    pub sharing: Option<Sharing>,
    /// `required`: no secret or agent is an error.
    pub required: bool,
    /// `size` of a tmpfs, in bytes; 0 for no limit.
    pub size: u64,
    /// `mode` of a cache, a secret or a socket.
    pub mode: Option<u32>,
    /// `uid` of the same.
    pub uid: Option<u32>,
    /// `gid` of the same.
    pub gid: Option<u32>,
    /// `env` of a secret: the variable that holds it.
    pub env: Option<String>,
}

/// What is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// Files of the context, a stage or an image.
    #[default]
    Bind,
    /// A directory that later builds see again.
    Cache,
    /// A directory in memory.
    Tmpfs,
    /// A file with a secret, in memory.
    Secret,
    /// The socket of an ssh agent.
    Ssh,
}

/// What happens when two commands want the same cache at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// They share it.
    #[default]
    Shared,
    /// Each gets one of its own.
    Private,
    /// One waits.
    Locked,
}

const KINDS: &[(&str, MountKind)] = &[
    ("bind", MountKind::Bind),
    ("cache", MountKind::Cache),
    ("tmpfs", MountKind::Tmpfs),
    ("secret", MountKind::Secret),
    ("ssh", MountKind::Ssh),
];

const SHARINGS: &[(&str, Sharing)] = &[
    ("shared", Sharing::Shared),
    ("private", Sharing::Private),
    ("locked", Sharing::Locked),
];

const KEYS: &[&str] = &[
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

impl MountKind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    fn has_owner(self) -> bool {
        matches!(self, Self::Cache | Self::Secret | Self::Ssh)
    }
}

impl Mount {
    /// Reads it, values of variables put in.
    ///
    /// # Errors
    /// Keys that do not exist or do not fit the type, and values that are wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut mount = Self::empty();
        let mut read_only = None;
        for field in onggi_model::csv(text) {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(value)),
                None => (field.to_lowercase(), None),
            };
            match (key.as_str(), value) {
                ("readonly" | "ro", value) => read_only = Some(truth(&key, value)?),
                ("readwrite" | "rw", value) => read_only = Some(!truth(&key, value)?),
                ("required", value) if matches!(mount.kind, MountKind::Secret | MountKind::Ssh) => {
                    mount.required = truth(&key, value)?;
                }
                ("required", _) => return Err(unexpected(&key, mount.kind)),
                (_, None) => {
                    return Err(Error::new(format!(
                        "invalid field '{field}' must be a key=value pair"
                    )));
                }
                ("type", Some(value)) => {
                    mount.kind = one_of(KINDS, value, "unsupported mount type")?;
                }
                ("sharing", Some(value)) => {
                    mount.sharing = Some(one_of(SHARINGS, value, "unsupported sharing value")?);
                }
                ("from", Some(value)) => mount.from = Some(value.to_owned()),
                ("source" | "src", Some(value)) => mount.source = Some(value.to_owned()),
                ("target" | "dst" | "destination", Some(value)) => {
                    mount.target = Some(value.to_owned());
                }
                ("id", Some(value)) => mount.id = Some(value.to_owned()),
                ("env", Some(value)) if mount.kind == MountKind::Secret => {
                    mount.env = Some(value.to_owned());
                }
                ("size", Some(value)) if mount.kind == MountKind::Tmpfs => {
                    let size = units::ram_in_bytes(value).ok();
                    mount.size = size
                        .and_then(|size| u64::try_from(size).ok())
                        .ok_or_else(|| Error::new(format!("invalid value for {key}: {value}")))?;
                }
                ("env" | "size", _) => return Err(unexpected(&key, mount.kind)),
                ("mode", Some(value)) => mount.mode = Some(number(&key, value, 8)?),
                ("uid", Some(value)) => mount.uid = Some(number(&key, value, 10)?),
                ("gid", Some(value)) => mount.gid = Some(number(&key, value, 10)?),
                _ => {
                    let message = format!("unexpected key '{key}' in '{field}'");
                    return Err(Error::new(suggest::with(
                        message,
                        &key,
                        KEYS.iter().copied(),
                    )));
                }
            }
        }
        mount.read_only =
            read_only.unwrap_or(!matches!(mount.kind, MountKind::Cache | MountKind::Tmpfs));
        mount.fits()?;
        Ok(mount)
    }

    /// What can be said before variables have values.
    ///
    /// # Errors
    /// As [`Mount::parse`], and a variable in `from`: which stages are needed is known before any value is.
    pub(super) fn check(text: &str) -> Result<(), Error> {
        if !text.contains('$') {
            return Self::parse(text).map(drop);
        }
        for field in onggi_model::csv(text) {
            if let Some((key, value)) = field.split_once('=')
                && key.eq_ignore_ascii_case("from")
                && value.contains('$')
            {
                return Err(Error::new(
                    "'from' doesn't support variable expansion, define alias stage instead",
                ));
            }
        }
        Ok(())
    }

    fn empty() -> Self {
        Self {
            kind: MountKind::default(),
            from: None,
            source: None,
            target: None,
            read_only: false,
            id: None,
            sharing: None,
            required: false,
            size: 0,
            mode: None,
            uid: None,
            gid: None,
            env: None,
        }
    }

    /// Whether what was given fits the type.
    fn fits(&self) -> Result<(), Error> {
        let kind = self.kind.name();
        let wrong = |message: String| Err(Error::new(message));
        if !self.kind.has_owner() {
            let given = [
                ("mode", self.mode.is_some()),
                ("uid", self.uid.is_some()),
                ("gid", self.gid.is_some()),
            ];
            if let Some((key, _)) = given.iter().find(|(_, given)| *given) {
                return wrong(format!("{key} not allowed for {} type mounts", quote(kind)));
            }
        }
        if self.kind == MountKind::Secret {
            if self.from.is_some() {
                return wrong("secret mount should not have a from".to_owned());
            }
            if self.sharing.is_some() {
                return wrong("secret mount should not define sharing".to_owned());
            }
            if self.source.is_none() && self.target.is_none() && self.id.is_none() {
                return wrong("invalid secret mount. one of source, target required".to_owned());
            }
            if self.source.is_some() && self.id.is_some() {
                return wrong("both source and id can't be set".to_owned());
            }
        }
        if self.sharing.is_some() && self.kind != MountKind::Cache {
            return wrong(format!("invalid cache sharing set for {kind} mount"));
        }
        if self.target.is_none() && !matches!(self.kind, MountKind::Secret | MountKind::Ssh) {
            return wrong("invalid mount target \"/\": say by target= where it is seen".to_owned());
        }
        Ok(())
    }
}

fn truth(key: &str, value: Option<&str>) -> Result<bool, Error> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(value) => Err(Error::new(format!("invalid value for {key}: {value}"))),
    }
}

fn number(key: &str, value: &str, radix: u32) -> Result<u32, Error> {
    // A sign would be taken, which is none of Go's numbers without one.
    let digits = value.chars().all(|c| c.is_digit(radix));
    let number = u32::from_str_radix(value, radix).ok().filter(|_| digits);
    number.ok_or_else(|| Error::new(format!("invalid value {value} for {key}")))
}

fn one_of<T: std::marker::Copy>(known: &[(&str, T)], value: &str, what: &str) -> Result<T, Error> {
    let lower = value.to_lowercase();
    match known.iter().find(|(name, _)| *name == lower) {
        Some((_, found)) => Ok(*found),
        None => {
            let message = format!("{what} {}", quote(value));
            let names = known.iter().map(|(name, _)| *name);
            Err(Error::new(suggest::with(message, value, names)))
        }
    }
}

fn unexpected(key: &str, kind: MountKind) -> Error {
    Error::new(format!(
        "unexpected key '{key}' for mount type '{}'",
        kind.name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written() {
        let cache =
            Mount::parse("type=cache,target=/c,id=x,sharing=locked,uid=1,mode=0750").unwrap();
        assert_eq!(
            cache,
            Mount {
                kind: MountKind::Cache,
                target: Some("/c".to_owned()),
                id: Some("x".to_owned()),
                sharing: Some(Sharing::Locked),
                uid: Some(1),
                mode: Some(0o750),
                ..Mount::empty()
            }
        );
        let bind = Mount::parse("from=build,src=/a,\"dst=/b,c\"").unwrap();
        assert_eq!((bind.kind, bind.read_only), (MountKind::Bind, true));
        assert_eq!(bind.target.as_deref(), Some("/b,c"));
        assert!(!Mount::parse("target=/b,rw").unwrap().read_only);
        assert!(
            Mount::parse("type=cache,target=/b,ro=true")
                .unwrap()
                .read_only
        );
        assert_eq!(
            Mount::parse("type=tmpfs,target=/t,size=1m").unwrap().size,
            1 << 20
        );
        assert!(Mount::parse("type=secret,id=s,required").unwrap().required);
        assert_eq!(
            Mount::parse("type=secret,id=s,env=TOKEN")
                .unwrap()
                .env
                .as_deref(),
            Some("TOKEN")
        );
    }

    #[test]
    fn what_is_wrong() {
        for (text, expected) in [
            ("", "invalid field '' must be a key=value pair"),
            (
                "type=bnd",
                "unsupported mount type \"bnd\" (did you mean bind?)",
            ),
            (
                "type=cache,sharing=lock",
                "unsupported sharing value \"lock\" (did you mean locked?)",
            ),
            (
                "tpe=bind",
                "unexpected key 'tpe' in 'tpe=bind' (did you mean type?)",
            ),
            ("target", "invalid field 'target' must be a key=value pair"),
            ("ro=maybe", "invalid value for ro: maybe"),
            ("size=1m", "unexpected key 'size' for mount type 'bind'"),
            ("type=tmpfs,size=x", "invalid value for size: x"),
            (
                "required",
                "unexpected key 'required' for mount type 'bind'",
            ),
            ("type=cache,mode=9", "invalid value 9 for mode"),
            ("type=cache,uid=+1", "invalid value +1 for uid"),
            ("uid=1", "uid not allowed for \"bind\" type mounts"),
            (
                "type=secret",
                "invalid secret mount. one of source, target required",
            ),
            ("type=secret,id=a,src=b", "both source and id can't be set"),
            (
                "type=secret,id=a,from=b",
                "secret mount should not have a from",
            ),
            ("sharing=locked", "invalid cache sharing set for bind mount"),
        ] {
            assert_eq!(
                Mount::parse(text).unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn variables_wait() {
        assert!(Mount::check("type=cache,target=$DIR,uid=${ID}").is_ok());
        assert!(Mount::check("type=$KIND").is_ok());
        assert_eq!(
            Mount::check("from=$STAGE,target=/x")
                .unwrap_err()
                .to_string(),
            "'from' doesn't support variable expansion, define alias stage instead"
        );
        assert!(Mount::check("nonsense").is_err());
    }
}
