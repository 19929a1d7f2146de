//! `POST /containers/create`.

use http::StatusCode;
use onggi_api::container::{Config, CreateRequest};

use super::compat;
use crate::call::{Call, Reply, json_with, owned};
use crate::failure::Failure;

pub(crate) async fn handle(call: Call) -> Reply {
    let (engine, version) = (call.engine.clone(), call.version);
    let (name, platform) = (call.given("name"), call.given("platform"));
    let mut request: CreateRequest = call.json().await?;
    if request.config == Config::default() {
        return Err(Failure::invalid(
            "config cannot be empty in order to create a container",
        ));
    }
    compat::create_request(&mut request, version);
    crate::network::container_request(&mut request, version)?;
    let create = async move { engine.container_create(name, platform, request).await };
    let response = owned("create a container", create).await?;
    json_with(StatusCode::CREATED, &response)
}
