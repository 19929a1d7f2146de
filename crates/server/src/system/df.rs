//! `GET /system/df`.

use onggi_engine::UsageOptions;

use super::compat;
use crate::call::{Call, Reply, json};
use crate::failure::Failure;

pub(crate) async fn handle(call: Call) -> Reply {
    let mut options = UsageOptions {
        images: false,
        containers: false,
        volumes: false,
        build_cache: false,
    };
    let mut any = false;
    for kind in call.query.all("type") {
        any = true;
        match kind {
            "image" => options.images = true,
            "container" => options.containers = true,
            "volume" => options.volumes = true,
            "build-cache" => options.build_cache = true,
            other => {
                return Err(Failure::invalid(format!("unknown object type: {other}")));
            }
        }
    }
    if !any {
        options = UsageOptions {
            images: true,
            containers: true,
            volumes: true,
            build_cache: true,
        };
    }
    let usage = call.engine.disk_usage(options).await?;
    let verbose = call.query.get("verbose").map(|_| call.flag("verbose"));
    json(&compat::disk_usage(usage, verbose, call.version))
}
