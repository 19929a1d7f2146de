//! `POST /system/adopt`: what a stopped dockerd left in its data root. An endpoint of our own.

use crate::call::{Call, Reply};
use crate::failure::Failure;
use crate::progress;

pub(crate) async fn handle(call: Call) -> Reply {
    let Some(path) = call.given("path") else {
        return Err(Failure::invalid("the parameter path is missing"));
    };
    let engine = call.engine.clone();
    progress::stream("adopt", false, |sink| async move {
        engine.system_adopt(&path, sink).await
    })
    .await
}
