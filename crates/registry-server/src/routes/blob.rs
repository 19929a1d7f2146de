//! Blobs: whole or in ranges.

use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use http::{Method, StatusCode};
use onggi_http::body;
use onggi_oci::distribution::code;

use crate::app::{Answer, Call, bare, finish, reply};
use crate::auth::rules::Action;
use crate::refusal::{self, Refusal};
use crate::storage::Removal;
use crate::stream;

/// `GET` and `HEAD blobs/DIGEST`
pub(super) async fn get(call: Call) -> Answer {
    let name = call.admitted(Action::Read)?;
    let digest = call.digest()?;
    let repository = call.repository(&name).await?;
    let (held, wanted) = (repository.clone(), digest.clone());
    let found = onggi_rt::blocking("open blob", move || held.blob(&wanted)).await??;
    let head_only = call.head.method == Method::HEAD;
    let (file, size, progress) = match (found, call.app.upstreams.find(&name)) {
        (Some((file, size)), _) => (Some(Arc::new(file)), size, stream::whole(size)),
        (None, Some((upstream, path))) if head_only => {
            let size = upstream.size(&repository, &name, path, &digest).await?;
            (None, size, stream::whole(size))
        }
        (None, Some((upstream, path))) => {
            let flight = upstream
                .fetch(&call.app.storage, &repository, &name, path, &digest)
                .await?;
            (
                Some(flight.file.clone()),
                flight.size,
                flight.progress.subscribe(),
            )
        }
        (None, None) => return Err(unknown(&digest)),
    };
    let tag = format!("\"{digest}\"");
    let builder = |status| {
        reply(status)
            .header("Docker-Content-Digest", digest.as_str())
            .header(ETAG, &tag)
            .header(CACHE_CONTROL, "private, max-age=31536000")
            .header(ACCEPT_RANGES, "bytes")
            .header(CONTENT_TYPE, "application/octet-stream")
    };
    if call
        .header(&IF_NONE_MATCH)
        .is_some_and(|known| known.contains(&tag))
    {
        return finish(builder(StatusCode::NOT_MODIFIED), body::empty());
    }
    let range = match call.header(&IF_RANGE) {
        Some(known) if known != tag => None,
        _ => call.header(&RANGE),
    };
    let (builder, from, to) = match range.map_or(Wanted::All, |text| part(text, size)) {
        Wanted::All => (builder(StatusCode::OK), 0, size),
        Wanted::Part(from, to) => {
            let range = format!("bytes {from}-{}/{size}", to - 1);
            (
                builder(StatusCode::PARTIAL_CONTENT).header(CONTENT_RANGE, range),
                from,
                to,
            )
        }
        Wanted::Nothing => {
            let refusal = Refusal::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                refusal::RANGE,
                format!("the blob has {size} bytes"),
            );
            return Err(refusal.header(CONTENT_RANGE, format!("bytes */{size}")));
        }
    };
    let builder = builder.header(CONTENT_LENGTH, to - from);
    match file {
        Some(file) if !head_only => {
            let patience = call.app.config.limits.body_timeout;
            finish(builder, stream::file(file, from, to, progress, patience))
        }
        _ => finish(builder, body::empty()),
    }
}

fn unknown(digest: &onggi_model::Digest) -> Refusal {
    let detail = serde_json::json!({ "digest": digest });
    Refusal::absent(code::BLOB_UNKNOWN, "blob unknown to registry").detail(detail)
}

/// `DELETE blobs/DIGEST`
pub(super) async fn delete(call: Call) -> Answer {
    let name = call.admitted(Action::Delete)?;
    let digest = call.digest()?;
    call.deletable()?;
    let repository = call.repository(&name).await?;
    let wanted = digest.clone();
    match onggi_rt::blocking("delete blob", move || repository.remove_blob(&wanted)).await?? {
        Removal::Done => bare(reply(StatusCode::ACCEPTED)),
        Removal::Absent => Err(unknown(&digest)),
        Removal::Held(holder) => {
            let message =
                format!("the manifest {holder} needs this blob: delete the manifest first");
            Err(Refusal::unsupported(message))
        }
    }
}

/// What a `Range` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Everything: no range, one we do not understand, or several, which nobody has to answer.
    All,
    /// From the first to before the second.
    Part(u64, u64),
    /// Bytes that are not there.
    Nothing,
}

/// Reads `bytes=A-B`, `bytes=A-`, `bytes=-N` (RFC 9110, 14.1.2).
fn part(text: &str, size: u64) -> Wanted {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // More digits than a number has: further than any blob.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let Some((first, last)) = text
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    let (first, last) = (first.trim(), last.trim());
    match (number(first), number(last)) {
        (None, Some(0)) if first.is_empty() => Wanted::Nothing,
        (None, Some(count)) if first.is_empty() && size > 0 => {
            Wanted::Part(size - count.min(size), size)
        }
        (Some(from), None) if last.is_empty() && from < size => Wanted::Part(from, size),
        (Some(from), Some(to)) if from <= to && from < size => {
            Wanted::Part(from, to.min(size - 1) + 1)
        }
        (Some(from), to)
            if from >= size && (to.is_some_and(|to| from <= to) || last.is_empty()) =>
        {
            Wanted::Nothing
        }
        (None, Some(_)) if first.is_empty() => Wanted::Nothing,
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, size, expected) in [
            ("bytes=0-0", 10, Wanted::Part(0, 1)),
            ("bytes=2-5", 10, Wanted::Part(2, 6)),
            ("bytes=2-", 10, Wanted::Part(2, 10)),
            ("bytes=-3", 10, Wanted::Part(7, 10)),
            ("bytes=-30", 10, Wanted::Part(0, 10)),
            ("bytes=9-99999999999999999999999", 10, Wanted::Part(9, 10)),
            ("bytes=10-", 10, Wanted::Nothing),
            ("bytes=10-12", 10, Wanted::Nothing),
            ("bytes=99999999999999999999999-", 10, Wanted::Nothing),
            ("bytes=-0", 10, Wanted::Nothing),
            ("bytes=-1", 0, Wanted::Nothing),
            ("bytes=0-", 0, Wanted::Nothing),
            ("bytes=5-2", 10, Wanted::All),
            ("bytes=12-11", 10, Wanted::All),
            ("bytes=-", 10, Wanted::All),
            ("bytes=a-b", 10, Wanted::All),
            ("bytes=+1-2", 10, Wanted::All),
            ("bytes=0-1,3-4", 10, Wanted::All),
            ("lines=0-1", 10, Wanted::All),
            ("", 10, Wanted::All),
        ] {
            assert_eq!(part(text, size), expected, "{text} of {size}");
        }
    }
}
