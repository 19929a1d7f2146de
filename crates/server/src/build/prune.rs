//! `POST /build/prune`.

use onggi_engine::PruneLimits;
use onggi_model::ErrorKind;

use crate::call::{Call, Reply, json};
use crate::failure::Failure;

pub(crate) async fn handle(call: Call) -> Reply {
    let mut filters = call.filters()?;
    // Docker's clients before 1.48 name the bytes that stay so.
    if let Some(size) = call.given("keep-storage") {
        filters.add("keep-storage", size);
    }
    let size = |key: &str| call.number::<u64>(key).map(Option::unwrap_or_default);
    let limits = PruneLimits {
        reserved: size("reserved-space")?,
        most: size("max-used-space")?,
        free: size("min-free-space")?,
    };
    let all = call.flag("all");
    let engine = call.engine.clone();
    let pruned = onggi_rt::blocking("prune the build cache", move || {
        engine.build_prune(&filters, all, limits)
    });
    json(
        &pruned
            .await
            .map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))??,
    )
}
