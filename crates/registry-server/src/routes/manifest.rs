//! Manifests: served as they were stored, byte for byte.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use http::{Method, StatusCode};
use onggi_http::body;
use onggi_model::Algorithm;
use onggi_oci::distribution::code;
use onggi_oci::image::MAX_DOCUMENT_SIZE;

use crate::app::{Answer, Call, bare, finish, reply};
use crate::auth::rules::Action;
use crate::document::{Document, DocumentError};
use crate::name::{Reference, RepositoryName};
use crate::refusal::Refusal;
use crate::storage::{Check, Put, Removal, digest_of};
use crate::stream::small;

/// `GET` and `HEAD manifests/REFERENCE`
pub(super) async fn get(call: Call) -> Answer {
    let name = call.admitted(Action::Read)?;
    let reference = call.reference()?;
    let upstream = call.app.upstreams.find(&name);
    if let Some((upstream, path)) = upstream {
        upstream
            .refresh(&call.app.storage, &name, path, &reference)
            .await?;
    }
    let unknown = || {
        let detail =
            serde_json::json!({ "name": name.as_str(), "reference": reference.to_string() });
        Refusal::absent(code::MANIFEST_UNKNOWN, "manifest unknown").detail(detail)
    };
    let repository = call.repository(&name).await?;
    let index = repository.index();
    let digest = match &reference {
        Reference::Tag(tag) => index.tag(tag).ok_or_else(unknown)?,
        Reference::Digest(digest) => digest,
    };
    let entry = index.manifest(digest).ok_or_else(unknown)?;
    let tag = format!("\"{digest}\"");
    let builder = |status| {
        let builder = reply(status).header("Docker-Content-Digest", digest.as_str());
        builder.header(ETAG, &tag)
    };
    if call
        .header(&IF_NONE_MATCH)
        .is_some_and(|known| known.contains(&tag))
    {
        return finish(builder(StatusCode::NOT_MODIFIED), body::empty());
    }
    let builder = builder(StatusCode::OK)
        .header(CONTENT_TYPE, &entry.media_type)
        .header(CONTENT_LENGTH, entry.size);
    if call.head.method == Method::HEAD {
        return finish(builder, body::empty());
    }
    let wanted = digest.clone();
    let bytes = onggi_rt::blocking("read manifest", move || repository.read(&wanted)).await??;
    finish(builder, body::full(bytes))
}

/// `PUT manifests/REFERENCE`
pub(super) async fn put(mut call: Call) -> Answer {
    let name = call.admitted(Action::Write)?;
    call.ours(&name)?;
    let reference = call.reference()?;
    let patience = call.app.config.limits.body_timeout;
    let limit = MAX_DOCUMENT_SIZE as usize;
    let bytes = match call.body() {
        Some(body) => small(body, limit, patience, code::MANIFEST_INVALID).await?,
        None => bytes::Bytes::new(),
    };
    let said = call.header(&CONTENT_TYPE).map(str::to_owned);
    let document = Document::parse(&bytes, said.as_deref()).map_err(|error| {
        let status = match error {
            DocumentError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Refusal::new(status, code::MANIFEST_INVALID, error.to_string())
    })?;
    let algorithm = match &reference {
        Reference::Digest(digest) => digest.algorithm(),
        Reference::Tag(_) => Algorithm::Sha256,
    };
    let digest = digest_of(algorithm, &bytes);
    let (digest, tag) = match (digest, reference) {
        (Some(digest), Reference::Tag(tag)) => (digest, Some(tag)),
        (Some(digest), Reference::Digest(said)) if digest == said => (digest, None),
        (_, reference) => {
            let message = format!("the content does not have the digest {reference}");
            return Err(Refusal::bad(code::DIGEST_INVALID, message));
        }
    };
    let subject = document.subject().cloned();
    let check = match call.app.config.sparse_indexes {
        true => Check::Blobs,
        false => Check::Everything,
    };
    let location = format!("/v2/{name}/manifests/{digest}");
    let (app, wanted) = (call.app.clone(), digest.clone());
    let stored = onggi_rt::blocking("store manifest", move || {
        // A manifest that needs nothing may be the first thing in its repository.
        let repository = app.storage.make(&name)?;
        repository.put(&wanted, &bytes, &document, tag.as_deref(), check)
    });
    if let Put::Missing(missing) = stored.await?? {
        let details = missing
            .into_iter()
            .map(|digest| serde_json::json!({ "digest": digest }));
        let message = "blob unknown to registry";
        return Err(Refusal::each(
            StatusCode::NOT_FOUND,
            code::MANIFEST_BLOB_UNKNOWN,
            message,
            details,
        ));
    }
    let mut builder = reply(StatusCode::CREATED)
        .header(LOCATION, location)
        .header("Docker-Content-Digest", digest.as_str());
    if let Some(subject) = subject {
        builder = builder.header("OCI-Subject", subject.as_str());
    }
    bare(builder)
}

/// `DELETE manifests/REFERENCE`: a tag alone, or a manifest with its tags.
pub(super) async fn delete(call: Call) -> Answer {
    let name: RepositoryName = call.admitted(Action::Delete)?;
    let reference = call.reference()?;
    call.deletable()?;
    let repository = call.repository(&name).await?;
    let wanted = reference.clone();
    let removed = onggi_rt::blocking("delete manifest", move || match &wanted {
        Reference::Tag(tag) => repository.remove_tag(tag),
        Reference::Digest(digest) => repository.remove_manifest(digest),
    });
    match removed.await?? {
        Removal::Done => bare(reply(StatusCode::ACCEPTED)),
        Removal::Absent => {
            let detail = serde_json::json!({ "reference": reference.to_string() });
            Err(Refusal::absent(code::MANIFEST_UNKNOWN, "manifest unknown").detail(detail))
        }
        Removal::Held(holder) => {
            let message = format!("the index {holder} lists this manifest: delete the index first");
            Err(Refusal::unsupported(message))
        }
    }
}
