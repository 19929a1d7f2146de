//! `POST /containers/{id}/resize`.

use http::StatusCode;

use crate::call::{Call, Reply, status};
use crate::failure::Failure;

pub(crate) async fn handle(call: Call) -> Reply {
    let (rows, columns) = size(&call)?;
    call.engine
        .container_resize(call.id(), rows, columns)
        .await?;
    status(StatusCode::OK)
}

/// Height and width of a terminal.
pub(crate) fn size(call: &Call) -> Result<(u16, u16), Failure> {
    let read = |key: &str, what: &str| {
        let text = call.query.text(key);
        // dockerd takes 32 bits; a terminal has 16 (tty_ioctl(4)).
        text.parse::<u32>()
            .map(|n| u16::try_from(n).unwrap_or(u16::MAX))
            .map_err(|_| {
                Failure::invalid(format!("invalid resize {what} {text:?}: invalid syntax"))
            })
    };
    Ok((read("h", "height")?, read("w", "width")?))
}
