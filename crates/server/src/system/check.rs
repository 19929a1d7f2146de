//! `GET /system/check`, which only looks, and `POST /system/check`, which repairs. Docker has no such endpoint.

use onggi_engine::CheckOptions;

use crate::call::{Call, Reply, json, owned};

pub(crate) async fn look(call: Call) -> Reply {
    let quick = call.flag("quick");
    let options = CheckOptions {
        quick,
        repair: false,
    };
    json(&call.engine.check(options).await?)
}

pub(crate) async fn repair(call: Call) -> Reply {
    let (engine, quick) = (call.engine.clone(), call.flag("quick"));
    let options = CheckOptions {
        quick,
        repair: true,
    };
    let check = async move { engine.check(options).await };
    json(&owned("repair the store", check).await?)
}
