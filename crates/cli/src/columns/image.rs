//! Columns of `images`, and the rows that one image has: one for each of its names.

use std::collections::BTreeMap;
use std::sync::Arc;

use onggi_api::image::Summary;
use onggi_model::{ImageRef, units};

use crate::format::{Column, column};
use crate::text::{ago, local_time, short_id};

/// One name of an image.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// Shared by the rows of all its names, which may be many.
    pub(crate) image: Arc<Summary>,
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) digest: String,
}

/// 0001-01-01T00:00:00Z, as seconds since 1970.
const NO_TIME: i64 = -62_135_596_800;

/// All columns.
pub(crate) const COLUMNS: &[Column<Row>] = &[
    column("ID", "IMAGE ID", |r, o| {
        if o.no_trunc {
            r.image.id.as_str()
        } else {
            short_id(&r.image.id)
        }
        .into()
    }),
    column("Repository", "REPOSITORY", |r, _| {
        r.repository.clone().into()
    }),
    column("Tag", "TAG", |r, _| r.tag.clone().into()),
    column("Digest", "DIGEST", |r, _| r.digest.clone().into()),
    column("CreatedSince", "CREATED", |r, _| {
        match r.image.created {
            // Made at no time that anybody noted: Go's zero time.
            i64::MIN..=NO_TIME => "N/A".into(),
            at => ago(at).into(),
        }
    }),
    column("CreatedAt", "CREATED AT", |r, _| {
        local_time(r.image.created).into()
    }),
    column("Size", "SIZE", |r, _| size(r.image.size).into()),
    column("Containers", "CONTAINERS", |r, _| {
        if r.image.containers == -1 {
            "N/A".into()
        } else {
            r.image.containers.to_string().into()
        }
    }),
    column("VirtualSize", "SIZE", |r, _| {
        units::human_size(r.image.size as f64).into()
    }),
    column("SharedSize", "SHARED SIZE", |r, _| {
        if r.image.shared_size == -1 {
            "N/A".into()
        } else {
            units::human_size(r.image.shared_size as f64).into()
        }
    }),
    column("UniqueSize", "UNIQUE SIZE", |r, _| {
        if r.image.size == -1 || r.image.shared_size == -1 {
            "N/A".into()
        } else {
            units::human_size((r.image.size - r.image.shared_size) as f64).into()
        }
    }),
];

/// The table of `images`.
pub(crate) const DEFAULT: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

/// The table of `images --digests`.
pub(crate) const WITH_DIGESTS: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

/// What `--format raw` stands for.
pub(crate) const RAW: &str = "repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";

/// The same with digests.
pub(crate) const RAW_WITH_DIGESTS: &str = "repository: {{.Repository}}\ntag: {{.Tag}}\ndigest: {{.Digest}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";

fn size(bytes: i64) -> String {
    units::human_size_with_precision(bytes as f64, 3)
}

/// The rows of an image, in the order of its names.
pub(crate) fn rows(image: &Summary, digests: bool) -> Vec<Row> {
    const NONE: &str = "<none>";
    let shared = Arc::new(image.clone());
    let row = |repository: &str, tag: &str, digest: &str| Row {
        image: shared.clone(),
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        digest: digest.to_owned(),
    };
    let no_tag = image.repo_tags.is_empty() || image.repo_tags == ["<none>:<none>"];
    let no_digest = image.repo_digests.is_empty() || image.repo_digests == ["<none>@<none>"];
    if no_tag && no_digest {
        return vec![row(NONE, NONE, NONE)];
    }
    let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in &image.repo_tags {
        if let Ok(name) = ImageRef::parse_untagged(name)
            && let Some(tag) = name.tag()
        {
            tags.entry(name.familiar_name())
                .or_default()
                .push(tag.to_owned());
        }
    }
    let mut by_digest: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in &image.repo_digests {
        if let Ok(name) = ImageRef::parse_untagged(name)
            && let Some(digest) = name.digest()
        {
            by_digest
                .entry(name.familiar_name())
                .or_default()
                .push(digest.to_string());
        }
    }
    let mut rows = Vec::new();
    for (repository, tags) in &tags {
        let known = by_digest
            .remove(repository)
            .filter(|_| digests)
            .unwrap_or_default();
        for tag in tags {
            if known.is_empty() {
                rows.push(row(repository, tag, NONE));
            }
            rows.extend(known.iter().map(|digest| row(repository, tag, digest)));
        }
    }
    for (repository, known) in &by_digest {
        if digests {
            rows.extend(known.iter().map(|digest| row(repository, NONE, digest)));
        } else {
            rows.push(row(repository, NONE, ""));
        }
    }
    rows
}
