//! `--cache-from` and `--cache-to`, in BuildKit's words.

use std::collections::BTreeMap;

use onggi_model::{Digest, ImageRef, csv};

use crate::Error;

/// What works in the place of what does not.
const INSTEAD: &str = "type=registry,ref=NAME, type=inline and, with onggi build, type=local,dest=DIRECTORY are there";

/// Where what others know is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSource {
    /// As it was asked for.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// Asked for by its name alone: an image that is here is as good.
    pub is_bare: bool,
}

/// Where a cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a registry, or an image that is here.
    Registry(ImageRef),
    /// With the client.
    Local(Local),
}

/// A cache in a directory that the client has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// What the client calls the directory.
    pub path: String,
    /// Which of the caches in it.
    pub tag: String,
    /// Which, whatever its tag.
    pub digest: Option<Digest>,
}

/// Where what is known goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheTarget {
    /// Where.
    pub place: Place,
    /// Of which steps.
    pub mode: Mode,
    /// How layers are compressed.
    pub compression: Compression,
    /// Also those that are compressed in another way.
    pub force: bool,
    /// Whether types are OCI's, not Docker's.
    pub oci: bool,
    /// The build succeeds also without.
    pub ignore_error: bool,
}

/// Of which steps a cache tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those whose layers the image has.
    Min,
    /// All.
    Max,
}

/// How layers are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// Not at all.
    None,
}

impl CacheSource {
    /// Reads one `--cache-from`.
    ///
    /// # Errors
    /// Types that are not there, keys that mean nothing, names that are none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if !text.contains('=') {
            return Ok(Self {
                name: text.to_owned(),
                place: Place::Registry(reference(text)?),
                is_bare: true,
            });
        }
        let mut fields = Fields::read("cache-from", text)?;
        let (name, place) = match fields.kind.as_str() {
            "registry" => {
                let name = fields.needed("ref")?;
                (name.clone(), Place::Registry(reference(&name)?))
            }
            "local" => {
                let name = fields.needed("src")?;
                (name.clone(), Place::Local(fields.local(name)?))
            }
            _ => return Err(fields.unknown_kind()),
        };
        fields.end()?;
        Ok(Self {
            name,
            place,
            is_bare: false,
        })
    }
}

impl CacheTarget {
    /// Reads one `--cache-to`; none of `type=inline`, by which the image itself is the cache.
    ///
    /// # Errors
    /// As [`CacheSource::parse`].
    pub fn parse(text: &str) -> Result<Option<Self>, Error> {
        let text = match text.contains('=') {
            true => text.to_owned(),
            false => format!("type=registry,ref={text}"),
        };
        let mut fields = Fields::read("cache-to", &text)?;
        let place = match fields.kind.as_str() {
            "inline" => {
                fields.end()?;
                return Ok(None);
            }
            "registry" => Place::Registry(reference(&fields.needed("ref")?)?),
            "local" => {
                let path = fields.needed("dest")?;
                let local = fields.local(path)?;
                if local.digest.is_some() {
                    return Err(fields.wrong("digest is what a cache gets: say tag"));
                }
                Place::Local(local)
            }
            _ => return Err(fields.unknown_kind()),
        };
        let mode = match fields.take("mode").as_deref() {
            None | Some("min") => Mode::Min,
            Some("max") => Mode::Max,
            Some(other) => return Err(fields.wrong(&format!("mode is min or max, not {other}"))),
        };
        let compression = match fields.take("compression").as_deref() {
            None | Some("gzip") => Compression::Gzip,
            Some("zstd") => Compression::Zstd,
            Some("uncompressed") => Compression::None,
            Some(other) => {
                return Err(fields.wrong(&format!(
                    "compression is gzip, zstd or uncompressed, not {other}"
                )));
            }
        };
        let target = Self {
            place,
            mode,
            compression,
            force: fields.switch("force-compression", false)?,
            oci: fields.switch("oci-mediatypes", true)?,
            ignore_error: fields.switch("ignore-error", false)?,
        };
        if !fields.switch("image-manifest", true)? {
            return Err(fields.wrong(
                "a cache is the manifest of an image: lists of blobs are refused by registries; leave image-manifest out",
            ));
        }
        fields.end()?;
        Ok(Some(target))
    }
}

/// The fields of one option.
struct Fields {
    flag: &'static str,
    text: String,
    kind: String,
    rest: BTreeMap<String, String>,
}

impl Fields {
    fn read(flag: &'static str, text: &str) -> Result<Self, Error> {
        let mut fields = Self {
            flag,
            text: text.to_owned(),
            kind: String::new(),
            rest: BTreeMap::new(),
        };
        for field in csv(text) {
            let Some((key, value)) = field.split_once('=') else {
                return Err(fields.wrong(&format!("{field} is no key=value")));
            };
            fields.rest.insert(key.to_lowercase(), value.to_owned());
        }
        match fields.take("type") {
            Some(kind) => fields.kind = kind,
            None => return Err(fields.wrong("type is missing")),
        }
        Ok(fields)
    }

    fn take(&mut self, key: &str) -> Option<String> {
        self.rest.remove(key)
    }

    fn needed(&mut self, key: &str) -> Result<String, Error> {
        let value = self.take(key).filter(|value| !value.is_empty());
        value.ok_or_else(|| self.wrong(&format!("{key} is missing")))
    }

    /// Which of the caches of a directory.
    fn local(&mut self, path: String) -> Result<Local, Error> {
        let digest = self.take("digest").map(|text| Digest::parse(&text));
        let tag = self.take("tag").filter(|tag| !tag.is_empty());
        Ok(Local {
            path,
            tag: tag.unwrap_or_else(|| "latest".to_owned()),
            digest: digest
                .transpose()
                .map_err(|fault| self.wrong(&fault.to_string()))?,
        })
    }

    fn switch(&mut self, key: &str, usual: bool) -> Result<bool, Error> {
        match self.take(key).as_deref() {
            None => Ok(usual),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(other) => Err(self.wrong(&format!("{key} is true or false, not {other}"))),
        }
    }

    fn unknown_kind(&self) -> Error {
        self.wrong(&format!("type={} is not supported: {INSTEAD}", self.kind))
    }

    fn end(&self) -> Result<(), Error> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(key) if key.starts_with("registry.") || key == "insecure" => Err(self.wrong(
                &format!("{key}: which registries need no TLS is said by \"insecure-registries\" in daemon.json"),
            )),
            Some(key) if key == "compression-level" => Err(self.wrong(
                "compression-level: each compression has one level here; leave it out",
            )),
            Some(key) => Err(self.wrong(&format!("{key} means nothing here"))),
        }
    }

    fn wrong(&self, why: &str) -> Error {
        Error::new(format!("--{} {}: {why}", self.flag, self.text))
    }
}

/// The name of a cache; without a tag `latest`.
fn reference(text: &str) -> Result<ImageRef, Error> {
    ImageRef::parse(text).map_err(|fault| Error::of(&fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read() {
        for (text, wanted) in [
            ("app", "docker.io/library/app:latest bare"),
            ("r.io:5/a/b:c", "r.io:5/a/b:c bare"),
            ("type=registry,ref=r.io/a", "r.io/a:latest"),
            ("type=local,src=/c", "local /c:latest"),
            ("type=local,src=/c,tag=x", "local /c:x"),
            (
                "type=local,src=/c,digest=x",
                "--cache-from type=local,src=/c,digest=x: invalid checksum digest format",
            ),
            (
                "type=registry",
                "--cache-from type=registry: ref is missing",
            ),
            ("ref=a", "--cache-from ref=a: type is missing"),
            (
                "type=registry,ref=a,b",
                "--cache-from type=registry,ref=a,b: b is no key=value",
            ),
            (
                "type=registry,ref=a,x=1",
                "--cache-from type=registry,ref=a,x=1: x means nothing here",
            ),
            (
                "type=gha",
                "--cache-from type=gha: type=gha is not supported: type=registry,ref=NAME, type=inline and, with onggi build, type=local,dest=DIRECTORY are there",
            ),
            (
                "type=s3,bucket=b",
                "--cache-from type=s3,bucket=b: type=s3 is not supported: type=registry,ref=NAME, type=inline and, with onggi build, type=local,dest=DIRECTORY are there",
            ),
            (
                "UPPER",
                "invalid reference format: repository name (library/UPPER) must be lowercase",
            ),
        ] {
            let found = match CacheSource::parse(text) {
                Ok(source) => {
                    let bare = if source.is_bare { " bare" } else { "" };
                    match source.place {
                        Place::Registry(name) => format!("{name}{bare}"),
                        Place::Local(local) => format!("local {}:{}{bare}", local.path, local.tag),
                    }
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn targets_are_read() {
        let of = |text: &str| CacheTarget::parse(text).map_err(|error| error.to_string());
        let usual = CacheTarget {
            place: Place::Registry(ImageRef::parse("r.io/a:c").expect("a name")),
            mode: Mode::Min,
            compression: Compression::Gzip,
            force: false,
            oci: true,
            ignore_error: false,
        };
        assert_eq!(of("r.io/a:c"), Ok(Some(usual.clone())));
        assert_eq!(of("type=registry,ref=r.io/a:c"), Ok(Some(usual.clone())));
        assert_eq!(of("type=inline"), Ok(None));
        let all = "type=registry,ref=r.io/a:c,mode=max,compression=zstd,force-compression=true,oci-mediatypes=false,image-manifest=true,ignore-error=1";
        let wanted = CacheTarget {
            mode: Mode::Max,
            compression: Compression::Zstd,
            force: true,
            oci: false,
            ignore_error: true,
            ..usual
        };
        assert_eq!(of(all), Ok(Some(wanted)));
        for (text, why) in [
            (
                "type=registry,ref=a,mode=all",
                "mode is min or max, not all",
            ),
            (
                "type=registry,ref=a,compression=xz",
                "compression is gzip, zstd or uncompressed, not xz",
            ),
            (
                "type=registry,ref=a,compression-level=3",
                "each compression has one level",
            ),
            (
                "type=registry,ref=a,image-manifest=false",
                "leave image-manifest out",
            ),
            (
                "type=registry,ref=a,registry.insecure=true",
                "insecure-registries",
            ),
            (
                "type=registry,ref=a,ignore-error=maybe",
                "ignore-error is true or false, not maybe",
            ),
            ("type=azblob,name=a", "type=azblob is not supported"),
            ("type=local", "dest is missing"),
            ("type=local,dest=/c,src=/d", "src means nothing here"),
        ] {
            let refused = of(text).expect_err(text);
            assert!(
                refused.starts_with(&format!("--cache-to {text}: ")),
                "{refused}"
            );
            assert!(refused.contains(why), "{refused}");
        }
    }
}
