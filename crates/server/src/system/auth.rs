//! `POST /auth`: tries a login at its registry.

use onggi_api::auth::AuthConfig;

use crate::call::{Call, Reply, json};

pub(crate) async fn handle(call: Call) -> Reply {
    let engine = call.engine.clone();
    let auth: AuthConfig = call.json().await?;
    json(&engine.login(auth).await?)
}
