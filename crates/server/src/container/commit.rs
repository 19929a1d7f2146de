//! `POST /commit`: an image of a container.

use http::StatusCode;
use onggi_api::container::{CommitResponse, Config};
use onggi_engine::CommitOptions;

use crate::call::{Call, Reply, json_with, owned};

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, container) = (call.engine.clone(), call.query.text("container").to_owned());
    let mut options = CommitOptions {
        repository: call.query.text("repo").to_owned(),
        tag: call.query.text("tag").to_owned(),
        comment: call.query.text("comment").to_owned(),
        author: call.query.text("author").to_owned(),
        // Unless the client says no.
        pause: call.given("pause").is_none() || call.flag("pause"),
        changes: call.query.all("changes").map(str::to_owned).collect(),
        config: None,
    };
    options.config = call.json_if_any::<Option<Config>>().await?.flatten();
    let commit = async move { engine.container_commit(&container, options).await };
    let id = owned("commit a container", commit).await?;
    json_with(StatusCode::CREATED, &CommitResponse { id })
}
