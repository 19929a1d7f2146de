//! What is known of builds: steps, and the caches that RUN mounts. How much it is, and what is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use onggi_api::build::{CacheRecord, PruneReport};
use onggi_api::system::OtherUsage;
use onggi_model::units::from_human_size;
use onggi_model::{Filters, Timestamp};
use onggi_store::{ChainId, StepLayer, StepRecord};

use super::caches;
use crate::Engine;
use crate::container::prune::until;
use crate::error::{Error, Result};

/// The filters of pruning.
const FILTERS: [&str; 12] = [
    "description",
    "id",
    "inuse",
    "keep-storage",
    "label",
    "label!",
    "parent",
    "private",
    "shared",
    "type",
    "unused-for",
    "until",
];

/// How much of the cache may stay.
#[derive(Clone, Copy, Debug, Default)]
pub struct PruneLimits {
    /// Bytes that stay in any case.
    pub reserved: u64,
    /// Bytes that may stay at most; 0 for no such limit.
    pub most: u64,
    /// Bytes that are to be free on the disk afterwards.
    pub free: u64,
}

/// One thing that is known.
struct Known {
    record: CacheRecord,
    /// The keys of its steps; none of a cache.
    keys: Vec<String>,
    /// The directory of a cache.
    place: Option<PathBuf>,
    /// Seconds since the epoch.
    used: i64,
    /// How many lie below it: those on top go first.
    depth: usize,
}

impl Engine {
    /// The cache of builds, for `system df`.
    pub(crate) fn build_usage(&self) -> Result<OtherUsage> {
        let mut usage = OtherUsage::default();
        for known in self.known()? {
            let record = known.record;
            usage.total_count += 1;
            usage.total_size += record.size;
            match record.in_use {
                true => usage.active_count += 1,
                // What images have stays with them.
                false if record.shared => {}
                false => usage.reclaimable += record.size,
            }
            let item = serde_json::to_value(&record)
                .map_err(|e| Error::internal(format!("write a record of the build cache: {e}")))?;
            usage.items.push(item);
        }
        Ok(usage)
    }

    /// Bytes of layers and blobs that the cache has and no image: no image's size tells of them.
    pub(crate) fn build_bytes(&self) -> Result<u64> {
        let sizes = self.known()?.into_iter();
        let own = sizes.filter(|known| !known.record.shared && known.place.is_none());
        Ok(own
            .map(|known| u64::try_from(known.record.size).unwrap_or(0))
            .sum())
    }

    /// Forgets what is known of builds, what was not used for longest first, and what nobody else needs of what they
    /// left. Without `all` those steps stay that images were made of.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that does not exist, and for a time or size that is none.
    pub fn build_prune(
        &self,
        filters: &Filters,
        all: bool,
        limits: PruneLimits,
    ) -> Result<PruneReport> {
        filters.check(&FILTERS).map_err(|fault| Error::of(&fault))?;
        let times: Vec<_> = ["until", "unused-for"]
            .into_iter()
            .filter(|name| filters.contains(name))
            .collect();
        let now = Timestamp::now();
        let until = match times.as_slice() {
            [] => None,
            ["unused-for"] => until(&renamed(filters), now)?,
            ["until"] => until(filters, now)?,
            _ => return Err(Error::invalid("conflicting filters: until and unused-for")),
        };
        let mut limits = limits;
        if let Some(text) = filters.values("keep-storage").next() {
            let size = from_human_size(text)
                .ok()
                .and_then(|size| u64::try_from(size).ok());
            limits.reserved = size
                .ok_or_else(|| Error::invalid(format!("keep-storage: invalid size: '{text}'")))?;
        }
        // Labels are none of a cache's; as Docker has it, they let nothing through.
        if filters.contains("label") || filters.contains("label!") {
            return Ok(PruneReport::default());
        }
        let mut known = self.known()?;
        known.sort_by_key(|known| (known.used, std::cmp::Reverse(known.depth)));
        let mut left: u64 = known.iter().map(Known::bytes).sum();
        let mut short = match limits.free {
            0 => 0,
            wanted => wanted.saturating_sub(self.free_bytes()?),
        };
        let is_limited = limits.reserved > 0 || limits.most > 0 || limits.free > 0;
        let mut report = PruneReport::default();
        let mut gone = Vec::new();
        for one in known {
            let stays = one.record.in_use
                || (one.record.shared && !all)
                || until.is_some_and(|until| one.used > until.seconds())
                || !one.fits(filters);
            let enough = is_limited
                && (left <= limits.reserved
                    || ((limits.most == 0 || left <= limits.most)
                        && short == 0
                        && (limits.most > 0 || limits.free > 0)));
            if stays || enough {
                continue;
            }
            left = left.saturating_sub(one.bytes());
            short = short.saturating_sub(one.bytes());
            gone.push(one);
        }
        let store = &self.inner.store;
        let before = store.usage()?;
        store.write(|tx| {
            gone.iter()
                .flat_map(|one| &one.keys)
                .try_for_each(|key| tx.remove_step(key).map(drop))
        })?;
        let after = store.usage()?;
        report.space_reclaimed = (before.blob_bytes + before.layer_bytes)
            .saturating_sub(after.blob_bytes + after.layer_bytes);
        for one in &gone {
            if let Some(place) = &one.place
                && self.inner.builds.caches.remove(store, place)?
            {
                report.space_reclaimed += one.bytes();
            }
        }
        let ids = gone.into_iter().map(|one| one.record.id);
        report.caches_deleted = Some(ids.collect()).filter(|ids: &Vec<String>| !ids.is_empty());
        Ok(report)
    }

    /// Forgets what the cache has no room for. Errors are told in the log: they are no build's.
    pub(super) fn collect_builds(&self) {
        let collected = || -> Result<()> {
            let most = match self.live().build_cache {
                Some(most) => most,
                None => self.disk_bytes()? / 10,
            };
            if most == 0 {
                return Ok(());
            }
            let limits = PruneLimits {
                most,
                ..PruneLimits::default()
            };
            let report = self.build_prune(&Filters::default(), false, limits)?;
            if report.space_reclaimed > 0 {
                tracing::info!(
                    bytes = report.space_reclaimed,
                    "the build cache was over its limit"
                );
            }
            Ok(())
        };
        if let Err(fault) = collected() {
            tracing::warn!("collecting the build cache: {fault}");
        }
    }

    fn disk_bytes(&self) -> Result<u64> {
        let found = rustix::fs::statvfs(&self.inner.config.data_root)
            .map_err(|errno| Error::io("look at the disk", errno))?;
        Ok(found.f_blocks * found.f_frsize)
    }

    fn free_bytes(&self) -> Result<u64> {
        let found = rustix::fs::statvfs(&self.inner.config.data_root)
            .map_err(|errno| Error::io("look at the disk", errno))?;
        Ok(found.f_bavail * found.f_frsize)
    }

    /// All that is known. The same result under several keys is one thing.
    fn known(&self) -> Result<Vec<Known>> {
        let store = &self.inner.store;
        let images: BTreeSet<ChainId> = store
            .images()?
            .into_iter()
            .flat_map(|image| image.layers)
            .collect();
        let mut all: BTreeMap<(Option<ChainId>, String), Known> = BTreeMap::new();
        let layers: BTreeMap<ChainId, _> = store
            .layers()?
            .into_iter()
            .map(|layer| (layer.chain_id.clone(), layer))
            .collect();
        let depth = |layer: &StepLayer| {
            let mut depth = 0;
            let mut next = Some(&layer.chain_id);
            while let Some(layer) = next.and_then(|next| layers.get(next)) {
                depth += 1;
                next = layer.parent.as_ref();
            }
            depth
        };
        for (key, step) in store.steps()? {
            let layer = step.layer.as_ref();
            let name = (
                layer.map(|layer| layer.chain_id.clone()),
                step.description.clone(),
            );
            if let Some(known) = all.get_mut(&name) {
                known.used = known.used.max(step.used);
                known.keys.push(key);
                continue;
            }
            let size = match layer {
                None => 0,
                Some(layer) => {
                    let files = layers.get(&layer.chain_id).map_or(0, |layer| layer.size);
                    files + layer.blob.size
                }
            };
            let shared = layer.is_some_and(|layer| images.contains(&layer.chain_id));
            let known = Known {
                record: record_of(&key, &step, size, shared),
                used: step.used,
                depth: layer.map_or(0, depth),
                place: None,
                keys: vec![key],
            };
            all.insert(name, known);
        }
        let mut known: Vec<Known> = all.into_values().collect();
        for cache in self.inner.builds.caches.all()? {
            let (kind, description) = match cache.name.starts_with(caches::LOCAL) {
                true => ("source.local", format!("local source {}", cache.id)),
                false => ("exec.cachemount", format!("cached mount {}", cache.id)),
            };
            known.push(Known {
                record: CacheRecord {
                    id: cache.name,
                    kind: kind.to_owned(),
                    description,
                    in_use: cache.is_busy,
                    size: number(size_of(&cache.place.join(caches::CONTENT))),
                    created_at: cache.created.to_string(),
                    last_used_at: Some(cache.used.to_string()),
                    ..CacheRecord::default()
                },
                keys: Vec::new(),
                used: cache.used.seconds(),
                place: Some(cache.place),
                depth: 0,
            });
        }
        Ok(known)
    }
}

impl Known {
    fn bytes(&self) -> u64 {
        u64::try_from(self.record.size).unwrap_or(0)
    }

    fn fits(&self, filters: &Filters) -> bool {
        let record = &self.record;
        let parents = record.parents.iter().flatten();
        let any = |name: &str, fits: &dyn Fn(&str) -> bool| {
            !filters.contains(name) || filters.values(name).any(fits)
        };
        any("id", &|id| record.id.starts_with(id))
            && any("type", &|kind| record.kind == kind)
            && any("description", &|text| record.description.contains(text))
            && any("parent", &|id| {
                parents.clone().any(|parent| parent.starts_with(id))
            })
            && any("inuse", &|_| record.in_use)
            && any("shared", &|_| record.shared)
            && any("private", &|_| !record.shared)
    }
}

/// `unused-for` as `until`.
fn renamed(filters: &Filters) -> Filters {
    let mut renamed = Filters::default();
    for value in filters.values("unused-for") {
        renamed.add("until", value);
    }
    renamed
}

fn record_of(key: &str, step: &StepRecord, size: u64, shared: bool) -> CacheRecord {
    let used = Timestamp::from_unix(step.used, 0).map(|used| used.to_string());
    CacheRecord {
        id: key.to_owned(),
        kind: "regular".to_owned(),
        parents: step
            .below
            .as_ref()
            .map(|below| vec![below.as_digest().hex().to_owned()]),
        description: step.description.clone(),
        shared,
        size: number(size),
        created_at: step.created.clone(),
        last_used_at: used,
        usage_count: number(step.uses),
        ..CacheRecord::default()
    }
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Bytes of the files below a directory. What goes meanwhile does not count.
fn size_of(place: &Path) -> u64 {
    let mut bytes = 0;
    let mut open = vec![place.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(status) if status.is_dir() => open.push(entry.path()),
                Ok(status) => bytes += status.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}
