//! Processes started in running containers.

mod create;
mod inspect;
mod resize;
mod start;

use onggi_http::{Route, get, post};

use crate::call::{Call, Reply};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    post("containers/{id}/exec", &create::handle),
    post("exec/{id}/start", &start::handle),
    post("exec/{id}/resize", &resize::handle),
    get("exec/{id}/json", &inspect::handle),
];
