//! The token service: a name and a password, or nobody in particular, for a token.

use http::StatusCode;
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use onggi_http::Query;
use onggi_model::{Secret, Timestamp};
use onggi_oci::distribution::code;

use super::json;
use crate::app::{Answer, Call, reply};
use crate::auth::{Identity, asked_for_password, basic};
use crate::refusal::{self, Refusal};
use crate::stream::small;

/// The most a form may have.
const FORM: usize = 64 * 1024;

/// `GET token?service=&scope=&account=`, with a password in the header.
pub(super) async fn get(call: Call) -> Answer {
    issues(&call)?;
    let identity = match call.header(&AUTHORIZATION) {
        None if call.app.gate.is_anonymous_welcome() => Identity::Anonymous,
        None => return Err(asked_for_password("authentication required")),
        Some(value) => {
            let (scheme, value) = value.split_once(' ').unwrap_or_default();
            let given = basic(value).filter(|_| scheme.eq_ignore_ascii_case("basic"));
            let (user, password) =
                given.ok_or_else(|| asked_for_password("the credentials are not understood"))?;
            call.app.gate.user(&user, &password, &call.origin).await?
        }
    };
    answer(&call, &call.query, &identity)
}

/// `POST token`: the same in OAuth 2's form, the password in the body.
pub(super) async fn post(mut call: Call) -> Answer {
    issues(&call)?;
    let patience = call.app.config.limits.body_timeout;
    let bytes = match call.body() {
        Some(body) => small(body, FORM, patience, code::UNSUPPORTED).await?,
        None => bytes::Bytes::new(),
    };
    let form = Query::parse(std::str::from_utf8(&bytes).unwrap_or_default());
    if form.text("grant_type") != "password" {
        let message = "only grant_type=password is supported: no refresh tokens are given out";
        return Err(Refusal::bad(code::UNSUPPORTED, message));
    }
    let password = Secret::new(form.text("password").to_owned());
    let identity = call
        .app
        .gate
        .user(form.text("username"), &password, &call.origin)
        .await?;
    answer(&call, &form, &identity)
}

fn issues(call: &Call) -> Result<(), Refusal> {
    match call.app.gate.issues() {
        true => Ok(()),
        false => Err(Refusal::absent(
            refusal::UNKNOWN,
            "no tokens are issued here",
        )),
    }
}

fn answer(call: &Call, query: &Query, identity: &Identity) -> Answer {
    let service = query.text("service");
    if !service.is_empty() && service != call.app.gate.service() {
        let message = format!(
            "tokens are for the service {:?} here",
            call.app.gate.service()
        );
        return Err(Refusal::bad(code::UNSUPPORTED, message));
    }
    let scopes: Vec<&str> = query
        .all("scope")
        .flat_map(|scope| scope.split(' '))
        .collect();
    let now = Timestamp::now();
    let Some((token, seconds)) = call.app.gate.issue(identity, &scopes, now) else {
        let message = "the registry cannot sign tokens";
        return Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            refusal::UNKNOWN,
            message,
        ));
    };
    let document = serde_json::json!({
        "token": token,
        "access_token": token,
        "expires_in": seconds,
        "issued_at": now,
    });
    json(
        reply(StatusCode::OK).header(CACHE_CONTROL, "no-store"),
        &document,
    )
}
