//! From a plan that was done to the image: which layers, when each came to be.

use std::sync::Arc;

use onggi_image::Layer;
use onggi_model::{Platform, Timestamp};
use onggi_oci::image::{CachedStep, ImageConfig};

use crate::execute::Finished;
use crate::{Op, Plan};

/// The image of a plan: its configuration but for the layers' digests, and its layers. An image of which all was known
/// is the same to the byte: times are those of its steps.
#[must_use]
pub fn image(
    plan: &Plan,
    finished: &[Arc<Finished>],
    platform: &Platform,
    time: Option<i64>,
) -> (ImageConfig, Vec<Layer>) {
    let built = &plan.image;
    // The steps of the image, base first.
    let mut steps = Vec::new();
    let mut next = built.files;
    while let Some(number) = next {
        let step = &plan.steps[number];
        if !matches!(step.op, Op::Image(_)) {
            steps.push(number);
        }
        next = step.below;
    }
    let mut steps = steps.into_iter().rev();
    let mut history = built.history.clone();
    for entry in history.iter_mut().skip(built.inherited) {
        if entry.empty_layer {
            continue;
        }
        if let Some(done) = steps.next().and_then(|step| finished.get(step)) {
            entry.created.clone_from(&done.created);
            entry.empty_layer = !done.changed;
        }
    }
    // What changed no files was done with the step before it, or with the first one.
    let ours = history.iter().skip(built.inherited);
    let first = ours.clone().find_map(|entry| entry.created.clone());
    let of_base = history
        .iter()
        .take(built.inherited)
        .filter_map(|entry| entry.created.clone())
        .next_back();
    let fixed = time.and_then(|time| Some(Timestamp::from_unix(time, 0)?.to_string()));
    let start = fixed.or(first).or(of_base);
    let mut last = start.unwrap_or_else(|| Timestamp::now().to_string());
    for entry in history.iter_mut().skip(built.inherited) {
        match &entry.created {
            Some(created) => last.clone_from(created),
            None => entry.created = Some(last.clone()),
        }
    }
    let platform = built.platform.as_ref().unwrap_or(platform);
    let config = ImageConfig {
        created: Some(last),
        author: built.author.clone(),
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
        os: platform.os.clone(),
        config: built.config.clone(),
        history,
        ..ImageConfig::default()
    };
    let layers = built
        .files
        .and_then(|files| finished.get(files))
        .map(|done| done.layers.clone())
        .unwrap_or_default();
    (config, layers)
}

/// The steps of an image, for builds elsewhere.
#[must_use]
pub fn inline_cache(plan: &Plan, finished: &[Arc<Finished>]) -> Vec<CachedStep> {
    let mut steps = Vec::new();
    let mut next = plan.image.files;
    while let Some(number) = next {
        let step = &plan.steps[number];
        next = step.below;
        let Some(done) = finished.get(number).filter(|done| !done.keys.is_empty()) else {
            continue;
        };
        steps.push(CachedStep {
            keys: done.keys.clone(),
            layer: done.changed.then(|| done.layers.len().saturating_sub(1)),
            created: done.created.clone().unwrap_or_default(),
            description: step.name.clone(),
        });
    }
    steps.reverse();
    steps
}
