//! Manifests that speak about another one: signatures, attestations, notes.

use std::collections::BTreeMap;

use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK};
use onggi_http::body;
use onggi_model::Digest;
use onggi_oci::image::{Descriptor, Index, media_type};

use crate::app::{Answer, Call, finish, reply};
use crate::auth::rules::Action;
use crate::storage::{Error, Repository};

/// As many as come at once; an index of them stays far below what clients read of a manifest.
const MOST: usize = 500;

/// `GET referrers/DIGEST?artifactType=`
pub(super) async fn list(call: Call) -> Answer {
    let name = call.admitted(Action::Read)?;
    let subject = call.digest()?;
    let filter = call
        .query
        .get("artifactType")
        .filter(|text| !text.is_empty())
        .map(str::to_owned);
    let last = Digest::parse(call.query.text("last")).ok();
    let (storage, wanted) = (call.app.storage.clone(), name.clone());
    let (about, kind) = (subject.clone(), filter.clone());
    // A repository that is not there has nothing that speaks about anything.
    let found = onggi_rt::blocking("list referrers", move || match storage.find(&wanted)? {
        Some(repository) => page(&repository, &about, kind.as_deref(), last.as_ref()),
        None => Ok((Vec::new(), false)),
    });
    let (manifests, more) = found.await??;
    let mut builder = reply(StatusCode::OK).header(CONTENT_TYPE, media_type::INDEX);
    if filter.is_some() {
        builder = builder.header("OCI-Filters-Applied", "artifactType");
    }
    if let Some(last) = manifests.last().filter(|_| more) {
        let kind = filter
            .map(|kind| format!("artifactType={}&", escape(&kind)))
            .unwrap_or_default();
        let link = format!(
            "</v2/{name}/referrers/{subject}?{kind}last={}>; rel=\"next\"",
            last.digest
        );
        builder = builder.header(LINK, link);
    }
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::INDEX.to_owned()),
        artifact_type: None,
        manifests,
        subject: None,
        annotations: BTreeMap::new(),
    };
    let bytes = serde_json::to_vec(&index).unwrap_or_default();
    finish(
        builder.header(CONTENT_LENGTH, bytes.len()),
        body::full(bytes),
    )
}

/// Descriptors of the manifests after `last`, and whether there are more.
fn page(
    repository: &Repository,
    subject: &Digest,
    filter: Option<&str>,
    last: Option<&Digest>,
) -> Result<(Vec<Descriptor>, bool), Error> {
    let index = repository.index();
    let mut found = Vec::new();
    for digest in index.referrers(subject) {
        if last.is_some_and(|last| digest <= last) {
            continue;
        }
        let document = repository.document(&index, digest)?;
        let kind = document.artifact_type();
        if filter.is_some_and(|wanted| kind != Some(wanted)) {
            continue;
        }
        if found.len() == MOST {
            return Ok((found, true));
        }
        let size = index.manifest(digest).map_or(0, |entry| entry.size);
        let mut descriptor = Descriptor::new(document.media_type(), digest.clone(), size);
        descriptor.artifact_type = kind.map(str::to_owned);
        descriptor.annotations = document.annotations().clone();
        found.push(descriptor);
    }
    Ok((found, false))
}

fn escape(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
