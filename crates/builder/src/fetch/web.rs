//! Files from the web: as BuildKit has them, readable by root alone, as old as the server says.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use onggi_registry::Client;
use tokio::io::AsyncWriteExt as _;
use url::Url;

use super::Error;
use super::checksum::Checksum;
use crate::plan::AddOptions;

/// What a file is called that nobody has named.
const UNNAMED: &str = "__unnamed__";
/// The longest name of a file.
const LONGEST: usize = 255;

/// Fetches the file at `address` into a directory; its name there.
pub(super) async fn fetch(
    client: &Client,
    address: &str,
    options: &AddOptions,
    into: &Path,
) -> Result<String, Error> {
    let checksum = options
        .checksum
        .as_deref()
        .map(Checksum::parse)
        .transpose()?;
    let mut download = client.download(address).await?;
    let url = download.url();
    let name = name_of(address, download.header("content-disposition"));
    let time = download.header("last-modified").and_then(time_of);
    let path = into.join(&name);
    let mut file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .await
        .map_err(Error::io("write", &name))?;
    let mut hash = checksum.as_ref().map(Checksum::begin);
    while let Some(bytes) = download.next().await.map_err(Error::io("read", &url))? {
        if let Some(hash) = &mut hash {
            hash.update(&bytes);
        }
        file.write_all(&bytes)
            .await
            .map_err(Error::io("write", &name))?;
    }
    file.flush().await.map_err(Error::io("write", &name))?;
    if let Some((checksum, hash)) = checksum.zip(hash) {
        checksum.verify(hash, &url)?;
    }
    let file = file.into_std().await;
    file.set_modified(time.unwrap_or(UNIX_EPOCH))
        .map_err(Error::io("set the time of", &name))?;
    Ok(name)
}

/// The last name of the address, else what the server says, else one that shows that nobody said anything.
fn name_of(address: &str, disposition: Option<&str>) -> String {
    let last = |path: &str| {
        let name = path.trim_end_matches('/').rsplit('/').next()?;
        let is_name = !matches!(name, "" | "." | "..") && !name.contains('\0');
        (is_name && name.len() <= LONGEST).then(|| name.to_owned())
    };
    let of_url = || {
        let url = Url::parse(address).ok()?;
        let path = percent_encoding::percent_decode_str(url.path()).decode_utf8_lossy();
        last(&path)
    };
    of_url()
        .or_else(|| last(&named_in(disposition?)?))
        .unwrap_or_else(|| UNNAMED.to_owned())
}

/// `attachment; filename="a.tar"` (RFC 6266).
fn named_in(disposition: &str) -> Option<String> {
    let mut name = None;
    for parameter in disposition.split(';').skip(1) {
        let (key, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match key.trim().to_ascii_lowercase().as_str() {
            "filename" => name = name.or_else(|| Some(value.to_owned())),
            // UTF-8''%e2%82%ac.tar (RFC 5987)
            "filename*" => {
                let encoded = value.splitn(3, '\'').nth(2)?;
                let decoded = percent_encoding::percent_decode_str(encoded);
                name = Some(decoded.decode_utf8_lossy().into_owned());
            }
            _ => {}
        }
    }
    name
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn time_of(text: &str) -> Option<SystemTime> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    let seconds = u64::try_from(time.timestamp().as_second()).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_names() {
        for (address, disposition, expected) in [
            ("http://h/a/b.tar?x=1#y", None, "b.tar"),
            ("http://h/a/b/", None, "b"),
            ("http://h/a%20b", None, "a b"),
            ("http://h/a%2F..%2Fc", None, "c"),
            ("http://h/%2e%2e", None, UNNAMED),
            ("http://h", None, UNNAMED),
            ("http://h/b", Some("attachment; filename=c"), "b"),
            ("http://h/", Some("attachment; filename=\"c d\""), "c d"),
            ("http://h/", Some("attachment; filename=../../c"), "c"),
            ("http://h/", Some("attachment; filename=.."), UNNAMED),
            (
                "http://h/",
                Some("attachment; filename=c; filename*=UTF-8''%c3%b6"),
                "ö",
            ),
            ("http://h/", Some("inline"), UNNAMED),
        ] {
            assert_eq!(
                name_of(address, disposition),
                expected,
                "{address} {disposition:?}"
            );
        }
    }

    #[test]
    fn files_have_times() {
        let time = |text| time_of(text)?.duration_since(UNIX_EPOCH).ok();
        let expected = Duration::from_secs(784_111_777);
        assert_eq!(time("Sun, 06 Nov 1994 08:49:37 GMT"), Some(expected));
        for text in ["", "yesterday", "Sun, 06 Nov 1904 08:49:37 GMT"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
