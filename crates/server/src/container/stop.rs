//! `POST /containers/{id}/stop`.

use super::changed;
use crate::call::{Call, Reply, owned};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, id) = (call.engine.clone(), call.id().to_owned());
    let (signal, timeout) = (call.given("signal"), call.number("t")?);
    let stop = async move { engine.container_stop(&id, signal, timeout).await };
    changed(owned("stop a container", stop).await?)
}
