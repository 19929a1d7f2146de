//! Names of the repositories the caller may read, of those that have something in them.

use http::StatusCode;
use http::header::LINK;
use onggi_oci::distribution::Catalog;

use super::{Page, json};
use crate::app::{Answer, Call, reply};

/// As many as come when nothing is said, and at most.
const USUAL: usize = 100;
const MOST: usize = 1000;

/// `GET _catalog?n=&last=`
pub(super) async fn list(call: Call) -> Answer {
    let scope = Some("registry:catalog:*");
    call.app.gate.known(&call.identity, scope, &call.origin)?;
    let limit = if call.query.get("n").is_some() {
        MOST
    } else {
        USUAL
    };
    let (most, last) = {
        let page = Page::of(&call, limit)?;
        (page.most, page.last.to_owned())
    };
    let (app, identity) = (call.app.clone(), call.identity.clone());
    let wanted = last.clone();
    let found = onggi_rt::blocking("list repositories", move || {
        let names = app.storage.names()?;
        let mut found = Vec::new();
        for name in names {
            if name.as_str() <= wanted.as_str() || !app.gate.shows(&identity, name.as_str()) {
                continue;
            }
            let repository = app.storage.find(&name)?;
            if repository.is_some_and(|repository| !repository.index().is_empty()) {
                found.push(name.as_str().to_owned());
            }
            // One more, to know whether there is more.
            if found.len() > most {
                break;
            }
        }
        Ok::<_, crate::storage::Error>(found)
    });
    let found = found.await??;
    let page = Page { most, last: &last };
    let (repositories, link) = page.take(found.into_iter(), "/v2/_catalog");
    let mut builder = reply(StatusCode::OK);
    if let Some(link) = link {
        builder = builder.header(LINK, link);
    }
    json(builder, &Catalog { repositories })
}
