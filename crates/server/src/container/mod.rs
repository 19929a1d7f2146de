//! Containers: the list is the documentation, the coverage and the router.

mod archive;
mod attach;
mod attach_ws;
mod changes;
mod commit;
pub(crate) mod compat; // before 1.55
mod create;
mod export;
mod inspect;
mod kill;
mod list;
mod logs;
mod move_ports;
mod pause;
mod prune;
mod remove;
mod rename;
mod resize;
mod restart;
mod start;
mod stats;
mod stop;
mod top;
mod unpause;
mod update;
mod wait;

use http::StatusCode;
use onggi_engine::Changed;
use onggi_http::{Route, delete, get, head, post, put};

use crate::call::{Call, Reply, status};
use crate::network::exposure;

pub(crate) use resize::size;

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    get("containers/json", &list::handle),
    post("containers/create", &create::handle),
    get("containers/{id}/json", &inspect::handle),
    get("containers/{id}/logs", &logs::handle),
    post("containers/{id}/start", &start::handle),
    post("containers/{id}/stop", &stop::handle),
    post("containers/{id}/restart", &restart::handle),
    post("containers/{id}/kill", &kill::handle),
    post("containers/{id}/resize", &resize::handle),
    post("containers/{id}/ports/move", &move_ports::handle),
    get("containers/{id}/exposure", &exposure::of_container),
    post("containers/{id}/rename", &rename::handle),
    post("containers/{id}/wait", &wait::handle),
    post("containers/{id}/attach", &attach::handle),
    get("containers/{id}/attach/ws", &attach_ws::handle),
    get("containers/{id}/top", &top::handle),
    get("containers/{id}/stats", &stats::handle),
    post("containers/{id}/update", &update::handle),
    post("containers/{id}/pause", &pause::handle),
    post("containers/{id}/unpause", &unpause::handle),
    post("containers/prune", &prune::handle).since(1, 25),
    delete("containers/{id...}", &remove::handle),
    head("containers/{id}/archive", &archive::stat),
    get("containers/{id}/archive", &archive::get),
    put("containers/{id}/archive", &archive::put),
    get("containers/{id}/changes", &changes::handle),
    get("containers/{id}/export", &export::handle),
    post("commit", &commit::handle),
];

/// 204 for a change, 304 for none.
fn changed(changed: Changed) -> Reply {
    match changed {
        Changed::Yes => status(StatusCode::NO_CONTENT),
        Changed::No => status(StatusCode::NOT_MODIFIED),
    }
}

/// The type of a stream that a client reads raw: frames are named since 1.42.
pub(crate) fn stream_type(tty: bool, call_before_1_42: bool) -> &'static str {
    if tty || call_before_1_42 {
        RAW
    } else {
        "application/vnd.docker.multiplexed-stream"
    }
}

/// Bytes as the process wrote them, or frames that nobody announced.
pub(crate) const RAW: &str = "application/vnd.docker.raw-stream";
