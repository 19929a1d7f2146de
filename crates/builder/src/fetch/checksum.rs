//! `--checksum` of ADD.

use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{Error, git_source};
use crate::files::is_remote;
use crate::plan::CopyFiles;

/// What a file must be known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checksum {
    algorithm: String,
    hex: String,
}

impl Checksum {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Wrong(format!("{what}: {text}"));
        let (algorithm, hex) = text
            .split_once(':')
            .ok_or_else(|| wrong("invalid checksum digest format"))?;
        let length = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return Err(wrong("unsupported digest algorithm")),
        };
        if hex.len() != length {
            return Err(wrong("invalid checksum digest length"));
        }
        if !hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
            return Err(wrong("invalid checksum digest format"));
        }
        Ok(Self {
            algorithm: algorithm.to_owned(),
            hex: hex.to_owned(),
        })
    }

    /// Hashes as it asks for.
    pub(super) fn begin(&self) -> Hash {
        match self.algorithm.as_str() {
            "sha384" => Hash::Sha384(Sha384::new()),
            "sha512" => Hash::Sha512(Box::new(Sha512::new())),
            _ => Hash::Sha256(Sha256::new()),
        }
    }

    /// # Errors
    /// When something else came; `url` has no password.
    pub(super) fn verify(&self, hash: Hash, url: &str) -> Result<(), Error> {
        let got = hash.finish();
        if got == self.hex {
            return Ok(());
        }
        let Self { algorithm, hex } = self;
        Err(Error::Wrong(format!(
            "digest mismatch for {url}: {algorithm}:{got} (expected: {algorithm}:{hex})"
        )))
    }
}

/// A hash on its way.
pub(super) enum Hash {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Box<Sha512>),
}

impl Hash {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha384(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    fn finish(self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Sha256(hash) => hex(&hash.finalize()),
            Self::Sha384(hash) => hex(&hash.finalize()),
            Self::Sha512(hash) => hex(&hash.finalize()),
        }
    }
}

/// What of an instruction's sources and options does not go together, before anything is fetched.
///
/// # Errors
/// In BuildKit's words.
pub fn check(copy: &CopyFiles) -> Result<(), Error> {
    let wrong = |text: &str| Err(Error::Wrong(text.to_owned()));
    let Some(add) = &copy.add else {
        return match copy.sources.iter().find(|source| is_remote(source)) {
            Some(source) if is_web(source)? => wrong("source can't be a URL for COPY"),
            Some(_) => wrong("source can't be a git ref for COPY"),
            None => Ok(()),
        };
    };
    let Some(checksum) = &add.checksum else {
        return Ok(());
    };
    match copy.sources.as_slice() {
        [source] if copy.files.is_empty() => match is_remote(source) {
            true if is_web(source)? => Checksum::parse(checksum).map(drop),
            true => Ok(()),
            false => wrong("checksum requires HTTP(S) or Git sources"),
        },
        _ => wrong("checksum can't be specified for multiple sources"),
    }
}

fn is_web(source: &str) -> Result<bool, Error> {
    Ok(git_source::parse(source)?.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_what_they_must_be() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let checksum = Checksum::parse(empty).unwrap();
        assert!(checksum.verify(checksum.begin(), "http://h/a").is_ok());
        let mut hash = checksum.begin();
        hash.update(b"x");
        let error = checksum.verify(hash, "http://h/a").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "digest mismatch for http://h/a: sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 (expected: {empty})"
            )
        );
        for (text, expected) in [
            ("e3b0", "invalid checksum digest format: e3b0"),
            ("md5:e3b0", "unsupported digest algorithm: md5:e3b0"),
            ("sha256:e3b0", "invalid checksum digest length: sha256:e3b0"),
        ] {
            let error = Checksum::parse(text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let wrong = format!("sha384:{}", "X".repeat(96));
        assert!(Checksum::parse(&wrong).is_err());
        for (algorithm, length) in [("sha384", 96), ("sha512", 128)] {
            let text = format!("{algorithm}:{}", "0".repeat(length));
            let checksum = Checksum::parse(&text).unwrap();
            assert!(checksum.verify(checksum.begin(), "").is_err());
        }
    }
}
