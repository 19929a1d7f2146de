//! The table of routes: the whole protocol.

mod blob; // GET, HEAD, DELETE of blobs
mod catalog; // names of repositories
mod manifest; // manifests by tag and digest
mod referrers; // manifests that speak about others
mod tags; // tags of a repository
mod token; // the token service
mod upload; // blobs on their way in

use http::{Method, StatusCode};
use onggi_http::{Route, body, delete, get, head, post, put};

use crate::app::{Answer, Call, finish, reply};
use crate::refusal::{PAGINATION, Refusal};

/// Every route there is.
pub(crate) const ROUTES: &[Route<Call, Answer>] = &[
    get("v2/", &version),
    head("v2/", &version),
    get("v2", &version),
    get("token", &token::get),
    post("token", &token::post),
    get("v2/_catalog", &catalog::list),
    get("v2/{name...}/tags/list", &tags::list),
    get("v2/{name...}/manifests/{reference}", &manifest::get),
    head("v2/{name...}/manifests/{reference}", &manifest::get),
    put("v2/{name...}/manifests/{reference}", &manifest::put),
    delete("v2/{name...}/manifests/{reference}", &manifest::delete),
    get("v2/{name...}/referrers/{digest}", &referrers::list),
    post("v2/{name...}/blobs/uploads/", &upload::begin),
    post("v2/{name...}/blobs/uploads", &upload::begin),
    get("v2/{name...}/blobs/uploads/{upload}", &upload::status),
    Route::new(
        Method::PATCH,
        "v2/{name...}/blobs/uploads/{upload}",
        &upload::add,
    ),
    put("v2/{name...}/blobs/uploads/{upload}", &upload::end),
    delete("v2/{name...}/blobs/uploads/{upload}", &upload::cancel),
    get("v2/{name...}/blobs/{digest}", &blob::get),
    head("v2/{name...}/blobs/{digest}", &blob::get),
    delete("v2/{name...}/blobs/{digest}", &blob::delete),
];

/// `GET /v2/`: this is a registry, and it knows you.
async fn version(call: Call) -> Answer {
    call.app.gate.known(&call.identity, None, &call.origin)?;
    json(reply(StatusCode::OK), &serde_json::json!({}))
}

/// An answer of JSON.
fn json(builder: http::response::Builder, value: &impl serde::Serialize) -> Answer {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let builder = builder
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::CONTENT_LENGTH, bytes.len());
    finish(builder, body::full(bytes))
}

/// The page of a list that was asked for: how many, and after what.
struct Page<'a> {
    most: usize,
    last: &'a str,
}

impl<'a> Page<'a> {
    /// Reads `n` and `last`; `most` where nothing is said or more is wanted.
    fn of(call: &'a Call, most: usize) -> Result<Self, Refusal> {
        let most = match call.query.get("n") {
            None => most,
            Some(text) => {
                let detail = || serde_json::json!({ "n": text });
                let refuse = |_| {
                    Refusal::bad(PAGINATION, "invalid number of results requested").detail(detail())
                };
                text.parse::<usize>().map_err(refuse)?.min(most)
            }
        };
        let last = call.query.text("last");
        Ok(Self { most, last })
    }

    /// One page of what comes after, and the `Link` to the next one.
    fn take<T: AsRef<str>>(
        &self,
        after: impl Iterator<Item = T>,
        path: &str,
    ) -> (Vec<T>, Option<String>) {
        let mut items: Vec<T> = after.take(self.most.saturating_add(1)).collect();
        let more = items.len() > self.most;
        items.truncate(self.most);
        let link = items.last().filter(|_| more).map(|last| {
            // Tags and names need no escaping.
            format!(
                "<{path}?n={}&last={}>; rel=\"next\"",
                self.most,
                last.as_ref()
            )
        });
        (items, link)
    }
}
