//! `index.json` of a repository: its tags, and the manifests that have none.
//!
//! A tag is a descriptor with the annotation OCI layouts use for names; a manifest without tags is a descriptor
//! without it. What else we must know of a manifest without reading it is in annotations of our own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use onggi_model::{Digest, Timestamp};
use onggi_oci::image::{self, Descriptor, annotation, media_type};

/// The index of an empty layout.
pub(super) const EMPTY: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// The manifest this one speaks about.
const SUBJECT: &str = "onggi.registry.subject";
/// Since when no tag leads to it.
const UNTAGGED: &str = "onggi.registry.untagged";

/// A manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As it was pushed.
    pub(crate) media_type: String,
    /// Bytes.
    pub(crate) size: u64,
    /// The manifest it speaks about.
    pub(crate) subject: Option<Digest>,
    /// Since when no tag leads to it.
    pub(crate) untagged: Option<Timestamp>,
}

/// Tags and manifests. Every tag leads to a manifest that is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Index {
    manifests: HashMap<Digest, Entry>,
    tags: BTreeMap<String, Digest>,
    referrers: HashMap<Digest, BTreeSet<Digest>>,
}

impl Index {
    /// Reads `index.json`.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn parse(bytes: &[u8]) -> serde_json::Result<Index> {
        let document: image::Index = serde_json::from_slice(bytes)?;
        let mut index = Index::default();
        for descriptor in document.manifests {
            let note = |name| descriptor.annotations.get(name);
            let entry = Entry {
                media_type: descriptor.media_type.clone(),
                size: descriptor.size,
                subject: note(SUBJECT).and_then(|text| Digest::parse(text).ok()),
                untagged: note(UNTAGGED).and_then(|text| Timestamp::parse(text).ok()),
            };
            index.insert(&descriptor.digest, entry);
            if let Some(tag) = note(annotation::REF_NAME) {
                index.tags.insert(tag.clone(), descriptor.digest.clone());
            }
        }
        Ok(index)
    }

    /// Writes `index.json`.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let descriptor = |digest: &Digest, entry: &Entry, tag: Option<&String>| {
            let mut descriptor =
                Descriptor::new(entry.media_type.clone(), digest.clone(), entry.size);
            let mut note = |name: &str, value: String| {
                descriptor.annotations.insert(name.to_owned(), value);
            };
            if let Some(subject) = &entry.subject {
                note(SUBJECT, subject.to_string());
            }
            match (tag, entry.untagged) {
                (Some(tag), _) => note(annotation::REF_NAME, tag.clone()),
                (None, Some(since)) => note(UNTAGGED, since.to_string()),
                (None, None) => {}
            }
            descriptor
        };
        let tagged: BTreeSet<&Digest> = self.tags.values().collect();
        let mut untagged: Vec<_> = self
            .manifests
            .iter()
            .filter(|(digest, _)| !tagged.contains(digest))
            .collect();
        untagged.sort_by_key(|(digest, _)| *digest);
        let tags = self.tags.iter().filter_map(|(tag, digest)| {
            Some(descriptor(digest, self.manifests.get(digest)?, Some(tag)))
        });
        let others = untagged
            .into_iter()
            .map(|(digest, entry)| descriptor(digest, entry, None));
        let document = image::Index {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            artifact_type: None,
            manifests: tags.chain(others).collect(),
            subject: None,
            annotations: BTreeMap::new(),
        };
        // Strings and numbers: it always can be written.
        serde_json::to_vec(&document).unwrap_or_else(|_| EMPTY.to_vec())
    }

    /// The manifest with this digest.
    pub(crate) fn manifest(&self, digest: &Digest) -> Option<&Entry> {
        self.manifests.get(digest)
    }

    /// What a tag leads to.
    pub(crate) fn tag(&self, tag: &str) -> Option<&Digest> {
        self.tags.get(tag)
    }

    /// All tags after `last`, sorted.
    pub(crate) fn tags_after(&self, last: &str) -> impl Iterator<Item = &str> {
        let from = std::ops::Bound::Excluded(last);
        let range = self
            .tags
            .range::<str, _>((from, std::ops::Bound::Unbounded));
        range.map(|(tag, _)| tag.as_str())
    }

    /// All manifests.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = (&Digest, &Entry)> {
        self.manifests.iter()
    }

    /// The manifests that speak about this one, sorted.
    pub(crate) fn referrers(&self, subject: &Digest) -> impl Iterator<Item = &Digest> {
        self.referrers.get(subject).into_iter().flatten()
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.manifests.is_empty()
    }

    /// Adds a manifest.
    pub(super) fn insert(&mut self, digest: &Digest, entry: Entry) {
        if let Some(subject) = &entry.subject {
            let list = self.referrers.entry(subject.clone()).or_default();
            list.insert(digest.clone());
        }
        self.manifests.insert(digest.clone(), entry);
    }

    /// Lets a tag lead to a manifest.
    pub(super) fn set_tag(&mut self, tag: &str, digest: &Digest, now: Timestamp) {
        let before = self.tags.insert(tag.to_owned(), digest.clone());
        self.note_untagged(digest, now);
        if let Some(before) = before {
            self.note_untagged(&before, now);
        }
    }

    /// Takes a tag away; the manifest stays.
    pub(super) fn remove_tag(&mut self, tag: &str, now: Timestamp) -> bool {
        match self.tags.remove(tag) {
            Some(digest) => {
                self.note_untagged(&digest, now);
                true
            }
            None => false,
        }
    }

    /// Takes a manifest away, with the tags that lead to it.
    pub(super) fn remove(&mut self, digest: &Digest) -> bool {
        let Some(entry) = self.manifests.remove(digest) else {
            return false;
        };
        self.tags.retain(|_, at| at != digest);
        if let Some(subject) = entry.subject
            && let Some(list) = self.referrers.get_mut(&subject)
        {
            list.remove(digest);
            if list.is_empty() {
                self.referrers.remove(&subject);
            }
        }
        true
    }

    /// Whether a tag leads to it.
    pub(super) fn is_tagged(&self, digest: &Digest) -> bool {
        self.tags.values().any(|at| at == digest)
    }

    fn note_untagged(&mut self, digest: &Digest, now: Timestamp) {
        let tagged = self.is_tagged(digest);
        if let Some(entry) = self.manifests.get_mut(digest) {
            entry.untagged = match (tagged, entry.untagged) {
                (true, _) => None,
                (false, since) => since.or(Some(now)),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> Digest {
        Digest::sha256([n; 32])
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let now = Timestamp::now();
        let mut index = Index::parse(EMPTY).unwrap();
        for n in 1..=3 {
            let entry = Entry {
                media_type: media_type::MANIFEST.to_owned(),
                size: u64::from(n),
                subject: (n == 3).then(|| digest(1)),
                untagged: Some(now),
            };
            index.insert(&digest(n), entry);
        }
        index.set_tag("b", &digest(1), now);
        index.set_tag("a", &digest(1), now);
        index.set_tag("c", &digest(2), now);
        index.set_tag("c", &digest(1), now);
        let again = Index::parse(&index.to_bytes()).unwrap();
        assert_eq!(again, index);
        assert_eq!(again.tags_after("").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(again.tags_after("a").collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(again.tags_after("aa").collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(
            again.referrers(&digest(1)).collect::<Vec<_>>(),
            [&digest(3)]
        );
        assert_eq!(again.manifest(&digest(2)).unwrap().untagged, Some(now));
        assert_eq!(again.manifest(&digest(1)).unwrap().untagged, None);
    }

    #[test]
    fn tags_leave_with_their_manifest_and_manifests_stay_without_tags() {
        let now = Timestamp::now();
        let mut index = Index::default();
        let entry = Entry {
            media_type: String::new(),
            size: 1,
            subject: Some(digest(9)),
            untagged: None,
        };
        index.insert(&digest(1), entry);
        index.set_tag("a", &digest(1), now);
        assert!(index.remove_tag("a", now) && !index.remove_tag("a", now));
        assert!(index.manifest(&digest(1)).unwrap().untagged.is_some());
        index.set_tag("a", &digest(1), now);
        assert!(index.remove(&digest(1)) && !index.remove(&digest(1)));
        assert!(index.tag("a").is_none() && index.is_empty());
        assert_eq!(index.referrers(&digest(9)).count(), 0);
    }

    #[test]
    fn layouts_of_others_are_read() {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"x","digest":"{}","size":3,"annotations":{{"org.opencontainers.image.ref.name":"v1"}}}}]}}"#,
            digest(1)
        );
        let index = Index::parse(text.as_bytes()).unwrap();
        assert_eq!(index.tag("v1"), Some(&digest(1)));
    }
}
