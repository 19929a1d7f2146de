//! Uploads: begun, added to, asked about, ended, cancelled; and blobs taken over from other repositories.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use http::response::Builder;
use onggi_http::body;
use onggi_model::Digest;
use onggi_oci::distribution::code;

use crate::app::{Answer, Call, bare, digest, finish, reply};
use crate::auth::rules::Action;
use crate::name::RepositoryName;
use crate::refusal::Refusal;
use crate::storage::{Appending, Upload, UploadId};
use crate::stream::{Bounds, receive};

/// How long a request waits for another one that writes to the same upload: one whose client has gone ends soon.
const PATIENCE: Duration = Duration::from_secs(10);

/// `POST blobs/uploads/`: begins an upload; with `digest` it is the whole; with `mount` the blob may be there already.
pub(super) async fn begin(mut call: Call) -> Answer {
    let name = call.admitted(Action::Write)?;
    call.ours(&name)?;
    if let Some(text) = call.query.get("mount") {
        let wanted = digest(text)?;
        if mount(&call, &name, &wanted).await? {
            return created(&name, &wanted);
        }
    }
    let whole = call.query.get("digest").map(digest).transpose()?;
    if call.app.storage.uploads().count() >= call.app.config.limits.uploads {
        let message = "too many uploads at once: end or cancel some, or try again later";
        return Err(Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            code::TOOMANYREQUESTS,
            message,
        ));
    }
    let (storage, to) = (call.app.storage.clone(), name.clone());
    let begun = onggi_rt::blocking("begin upload", move || storage.uploads().begin(&to));
    let upload = begun.await??;
    let Some(whole) = whole else {
        return bare(state(StatusCode::ACCEPTED, &upload));
    };
    let ended = match add_body(&mut call, &upload).await {
        Ok(appending) => complete(&call, &name, appending, whole).await,
        Err(refusal) => Err(refusal),
    };
    if ended.is_err() {
        // Nobody was told its name.
        let storage = call.app.storage.clone();
        onggi_rt::blocking("discard upload", move || storage.uploads().discard(&upload)).await?;
    }
    ended
}

/// Takes a blob over from the repository `from`, if the caller may read there; whether it could.
async fn mount(call: &Call, name: &RepositoryName, wanted: &Digest) -> Result<bool, Refusal> {
    let Some(from) = call.query.get("from").and_then(RepositoryName::parse) else {
        return Ok(false);
    };
    if !call
        .app
        .gate
        .allows(&call.identity, from.as_str(), Action::Read)
    {
        return Ok(false);
    }
    let (app, to, wanted) = (call.app.clone(), name.clone(), wanted.clone());
    let mounted = onggi_rt::blocking("mount blob", move || {
        let Some(from) = app.storage.find(&from)? else {
            return Ok(false);
        };
        if from.blob(&wanted)?.is_none() {
            return Ok(false);
        }
        app.storage.make(&to)?.mount(&from, &wanted)
    });
    Ok(mounted.await??)
}

/// `GET blobs/uploads/ID`: how far it is.
pub(super) async fn status(call: Call) -> Answer {
    let name = call.admitted(Action::Write)?;
    let upload = find(&call, &name).await?;
    finish(state(StatusCode::NO_CONTENT, &upload), body::empty())
}

/// `PATCH blobs/uploads/ID`: the next bytes.
pub(super) async fn add(mut call: Call) -> Answer {
    let name = call.admitted(Action::Write)?;
    let upload = find(&call, &name).await?;
    add_body(&mut call, &upload).await?;
    bare(state(StatusCode::ACCEPTED, &upload))
}

/// `PUT blobs/uploads/ID?digest=`: the last bytes, and what all of them are.
pub(super) async fn end(mut call: Call) -> Answer {
    let name = call.admitted(Action::Write)?;
    let upload = find(&call, &name).await?;
    let Some(whole) = call.query.get("digest") else {
        return Err(Refusal::bad(
            code::DIGEST_INVALID,
            "the digest is missing: ?digest=ALGORITHM:HEX",
        ));
    };
    let whole = digest(whole)?;
    let appending = add_body(&mut call, &upload).await?;
    complete(&call, &name, appending, whole).await
}

/// `DELETE blobs/uploads/ID`
pub(super) async fn cancel(call: Call) -> Answer {
    let name = call.admitted(Action::Write)?;
    let upload = find(&call, &name).await?;
    let storage = call.app.storage.clone();
    onggi_rt::blocking("discard upload", move || storage.uploads().discard(&upload)).await?;
    finish(reply(StatusCode::NO_CONTENT), body::empty())
}

async fn find(call: &Call, name: &RepositoryName) -> Result<Arc<Upload>, Refusal> {
    let unknown = || Refusal::absent(code::BLOB_UPLOAD_UNKNOWN, "blob upload unknown to registry");
    let id = UploadId::parse(call.params.get("upload")).ok_or_else(unknown)?;
    let (storage, name) = (call.app.storage.clone(), name.clone());
    let found = onggi_rt::blocking("find upload", move || storage.uploads().find(&name, &id));
    found.await??.ok_or_else(unknown)
}

/// Adds the request's body, if it goes on where the upload is.
async fn add_body(call: &mut Call, upload: &Arc<Upload>) -> Result<Appending, Refusal> {
    let Some(appending) = upload.append(PATIENCE).await? else {
        let message = "another request writes to this upload, or it has ended";
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            code::BLOB_UPLOAD_INVALID,
            message,
        ));
    };
    let length = call
        .header(&CONTENT_LENGTH)
        .and_then(|text| text.parse::<u64>().ok());
    let at = appending.offset();
    let range = call
        .header(&CONTENT_RANGE)
        .map(|text| content_range(text).ok_or(()));
    let announced = match range {
        None => length,
        Some(Ok((from, to))) if from == at => {
            let size = to - from + 1;
            if length.is_some_and(|length| length != size) {
                let message = "Content-Range and Content-Length differ";
                return Err(Refusal::bad(code::SIZE_INVALID, message));
            }
            Some(size)
        }
        Some(_) => {
            let message = format!("the upload is at byte {at}, and goes on there");
            let refusal = Refusal::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                code::BLOB_UPLOAD_INVALID,
                message,
            );
            return Err(refusal
                .header(RANGE, progress(at))
                .header(LOCATION, location(upload)));
        }
    };
    let limits = &call.app.config.limits;
    let most = limits.blob.saturating_sub(at);
    if announced.is_some_and(|size| size > most) {
        let message = format!(
            "more than the {} bytes that a blob may have here",
            limits.blob
        );
        return Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            code::SIZE_INVALID,
            message,
        ));
    }
    let bounds = Bounds {
        most,
        exactly: announced,
        patience: limits.body_timeout,
    };
    match call.body() {
        Some(body) => receive(body, appending, bounds).await,
        None => Ok(appending),
    }
}

async fn complete(
    call: &Call,
    name: &RepositoryName,
    appending: Appending,
    whole: Digest,
) -> Answer {
    let (storage, to, wanted) = (call.app.storage.clone(), name.clone(), whole.clone());
    let ended = onggi_rt::blocking("end upload", move || {
        let repository = storage.make(&to)?;
        appending.finish(&storage, &repository, &wanted)
    });
    ended.await??;
    created(name, &whole)
}

fn created(name: &RepositoryName, digest: &Digest) -> Answer {
    let builder = reply(StatusCode::CREATED).header(LOCATION, format!("/v2/{name}/blobs/{digest}"));
    bare(builder.header("Docker-Content-Digest", digest.as_str()))
}

fn state(status: StatusCode, upload: &Upload) -> Builder {
    reply(status)
        .header(LOCATION, location(upload))
        .header(RANGE, progress(upload.offset()))
        .header("Docker-Upload-UUID", upload.id().to_string())
}

fn location(upload: &Upload) -> String {
    format!("/v2/{}/blobs/uploads/{}", upload.repository(), upload.id())
}

/// The last byte that is there; an upload without bytes is at `0-0` by tradition.
fn progress(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

/// `FIRST-LAST`, both included; some clients write it as RFC 9110 has it, `bytes FIRST-LAST/SIZE`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let text = text.trim();
    let text = text
        .strip_prefix("bytes")
        .map_or(text, |rest| rest.trim_start_matches(['=', ' ']));
    let (range, _) = text.split_once('/').unwrap_or((text, ""));
    let (from, to) = range.split_once('-')?;
    let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to && to < u64::MAX).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        assert_eq!(content_range("0-9"), Some((0, 9)));
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 9)));
        assert_eq!(content_range("bytes=5-9"), Some((5, 9)));
        for bad in [
            "",
            "-",
            "5",
            "9-5",
            "a-b",
            "0-18446744073709551615",
            "0--1",
            "bytes */10",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
        assert_eq!(
            (progress(0), progress(10)),
            ("0-0".to_owned(), "0-9".to_owned())
        );
    }
}
