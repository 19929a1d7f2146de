//! The daemon itself: `_ping`, `version`, `info`, `events`.

mod adopt; // POST /system/adopt, ours alone
mod auth; // POST /auth
mod check; // GET and POST /system/check
pub(crate) mod compat; // before 1.55
mod df; // GET /system/df
mod events; // GET /events
mod info; // GET /info
mod ping; // GET and HEAD /_ping
mod version; // GET /version

use onggi_http::{Route, get, head, post};

use crate::call::{Call, Reply};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    get("_ping", &ping::handle),
    head("_ping", &ping::handle),
    get("version", &version::handle),
    get("info", &info::handle),
    get("events", &events::handle),
    get("system/df", &df::handle),
    get("system/check", &check::look),
    post("system/check", &check::repair),
    post("auth", &auth::handle),
    post("system/adopt", &adopt::handle),
];
