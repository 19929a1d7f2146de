//! All images by their filters, and how one came to be.

use onggi_model::{Digest, Filters, ImageRef, Timestamp, units};

use crate::Error;
use crate::glob;
use crate::images::{Image, Images};

/// The filters `docker images` takes.
const FILTERS: &[&str] = &[
    "dangling",
    "label",
    "label!",
    "before",
    "since",
    "reference",
    "until",
];

/// One step of how an image came to be, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The image that ended with this step: the newest, and the parents that are here; `None` (`<missing>`) else.
    pub id: Option<Digest>,
    /// When.
    pub created: Timestamp,
    /// By what instruction.
    pub created_by: String,
    /// Remark.
    pub comment: String,
    /// Bytes of the files of its layer; 0 for a step without one.
    pub size: u64,
    /// Names of that image.
    pub tags: Vec<String>,
}

impl Images {
    /// The images that pass the filters, newest first. With `reference`, images have only the names that
    /// match.
    ///
    /// # Errors
    /// InvalidParameter for unknown filters and values; NotFound for an image in `before` or `since`.
    pub fn list(&self, filters: &Filters) -> Result<Vec<Image>, Error> {
        filters.check(FILTERS)?;
        let dangling = filters.boolean("dangling")?;
        let mut before = self.created_of(filters, "before")?;
        let since = self.created_of(filters, "since")?;
        for value in filters.values("until") {
            let until = until(value).ok_or_else(|| Error::Filter {
                key: "until",
                value: value.to_owned(),
            })?;
            before = Some(before.map_or(until, |before| before.min(until)));
        }
        let patterns: Vec<&str> = filters.values("reference").collect();
        for pattern in &patterns {
            glob::matches(pattern, "").ok_or_else(|| Error::Filter {
                key: "reference",
                value: (*pattern).to_owned(),
            })?;
        }
        let mut found = Vec::new();
        for record in self.inner.store.images()? {
            let mut image = match self.image(record) {
                Ok(image) => image,
                // Removed between the list and here.
                Err(Error::Store(onggi_store::Error::NoBlob(_))) => continue,
                Err(error) => return Err(error),
            };
            let created = image.created();
            if before.is_some_and(|before| created >= before)
                || since.is_some_and(|since| created <= since)
                || !labelled(&image, filters)
            {
                continue;
            }
            if !patterns.is_empty() {
                image.tags.retain(|name| named(name, &patterns));
                image.digests.retain(|name| named(name, &patterns));
                if image.tags.is_empty() && image.digests.is_empty() {
                    continue;
                }
            }
            match dangling {
                Some(true) if !image.tags.is_empty() => continue,
                Some(false) if image.tags.is_empty() && image.digests.is_empty() => continue,
                _ => {}
            }
            found.push(image);
        }
        found.sort_by_key(|image| std::cmp::Reverse(image.created()));
        Ok(found)
    }

    /// How an image came to be, newest step first.
    ///
    /// # Errors
    /// As the store's.
    pub fn history(&self, image: &Image) -> Result<Vec<HistoryEntry>, Error> {
        let mut layers = image.record.layers.iter();
        let mut steps = Vec::new();
        for step in &image.config.history {
            let size = match (step.empty_layer, step.empty_layer || layers.len() == 0) {
                (true, _) | (_, true) => 0,
                _ => match layers.next() {
                    Some(chain_id) => self.inner.store.layer(chain_id)?.map_or(0, |l| l.size),
                    None => 0,
                },
            };
            let created = step
                .created
                .as_deref()
                .and_then(|text| Timestamp::parse(text).ok());
            steps.push(HistoryEntry {
                id: None,
                created: created.unwrap_or_default(),
                created_by: step.created_by.clone().unwrap_or_default(),
                comment: step.comment.clone().unwrap_or_default(),
                size,
                tags: Vec::new(),
            });
        }
        steps.reverse();
        let mut next = Some(image.clone());
        for step in &mut steps {
            let Some(image) = next.take() else { break };
            step.id = Some(image.id().clone());
            if let Some(parent) = &image.record.parent
                && let Some(record) = self.inner.store.image(parent)?
            {
                next = Some(self.image(record)?);
            }
            step.tags = image.tags;
        }
        Ok(steps)
    }

    /// When the newest image that a filter names was made.
    fn created_of(&self, filters: &Filters, key: &str) -> Result<Option<Timestamp>, Error> {
        let mut at = None;
        for name in filters.values(key) {
            at = at.max(Some(self.get(name)?.created()));
        }
        Ok(at)
    }
}

fn labelled(image: &Image, filters: &Filters) -> bool {
    let labels = &image.config.config.labels;
    let has = |value: &str| match value.split_once('=') {
        Some((name, wanted)) => labels.get(name).is_some_and(|v| v == wanted),
        None => labels.contains_key(value),
    };
    filters.values("label").all(has) && !filters.values("label!").any(has)
}

/// Whether a name, with or without its tag, matches one of the patterns.
fn named(name: &str, patterns: &[&str]) -> bool {
    let Ok(reference) = ImageRef::parse(name) else {
        return false;
    };
    let bare = reference.familiar_name();
    patterns.iter().any(|pattern| {
        glob::matches(pattern, name) == Some(true) || glob::matches(pattern, &bare) == Some(true)
    })
}

/// A point in time as Docker's filters take it: a time, a date, seconds, or how long ago.
fn until(text: &str) -> Option<Timestamp> {
    if let Ok(time) = Timestamp::parse(text) {
        return Some(time);
    }
    if let Ok(time) = Timestamp::parse_unix(text) {
        return Some(time);
    }
    if let Ok(ago) = units::parse_duration(text) {
        let now = Timestamp::now().inner();
        return now.checked_sub(ago).ok().map(Timestamp::from);
    }
    // Without a zone it is local time.
    let zone = jiff::tz::TimeZone::system();
    let local = text.parse::<jiff::civil::DateTime>().or_else(|_| {
        text.parse::<jiff::civil::Date>()
            .map(|date| date.at(0, 0, 0, 0))
    });
    let zoned = local.ok()?.to_zoned(zone).ok()?;
    Some(Timestamp::from(zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time() {
        assert_eq!(
            until("2024-01-02T03:04:05Z").unwrap().to_string(),
            "2024-01-02T03:04:05Z"
        );
        assert_eq!(
            until("1136073600").unwrap().to_string(),
            "2006-01-01T00:00:00Z"
        );
        assert!(until("24h").unwrap() < Timestamp::now());
        assert!(until("2024-01-02").is_some() && until("2024-01-02T03:04:05").is_some());
        assert!(until("yesterday").is_none());
    }

    #[test]
    fn names_match_with_and_without_tag() {
        assert!(named("busybox:latest", &["busybox"]));
        assert!(named("busybox:latest", &["busy*"]));
        assert!(named("busybox:latest", &["*:latest"]));
        assert!(named("localhost:5000/team/app:1", &["*/*/app"]));
        assert!(!named("localhost:5000/team/app:1", &["app", "*/app"]));
        assert!(!named("busybox:latest", &["busybox:1"]));
    }
}
