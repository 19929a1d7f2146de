//! Tags of a repository.

use http::StatusCode;
use http::header::LINK;

use super::{Page, json};
use crate::app::{Answer, Call, reply};
use crate::auth::rules::Action;

/// As many as anybody gets at once.
const MOST: usize = 100_000;

/// `GET tags/list?n=&last=`
pub(super) async fn list(call: Call) -> Answer {
    let name = call.admitted(Action::Read)?;
    let page = Page::of(&call, MOST)?;
    let index = call.repository(&name).await?.index();
    let path = format!("/v2/{name}/tags/list");
    let (tags, link) = page.take(index.tags_after(page.last), &path);
    let mut builder = reply(StatusCode::OK);
    if let Some(link) = link {
        builder = builder.header(LINK, link);
    }
    json(
        builder,
        &serde_json::json!({ "name": name.as_str(), "tags": tags }),
    )
}
