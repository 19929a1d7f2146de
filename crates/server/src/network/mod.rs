//! Networks: those there are. Making and removing them is not there yet.

mod compat; // before 1.55
mod inspect;
mod list;

use onggi_http::{Route, get};

use crate::call::{Call, Reply};

pub(crate) const ROUTES: &[Route<Call, Reply>] = &[
    get("networks", &list::handle),
    get("networks/{id}", &inspect::handle),
];
