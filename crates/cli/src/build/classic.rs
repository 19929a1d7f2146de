//! What a build prints where the daemon sends its steps as text: as Docker's first builder does it.

use std::io::Write;

use onggi_api::stream::Message;
use onggi_model::units::human_size;

use super::follow::Messages;
use crate::cli::pipe;
use crate::error::{Error, Result};
use crate::stream::progress::{Screen, Show};

/// The image's ID, if the daemon tells it.
pub(super) fn image_id(message: &Message) -> Option<String> {
    let id = message.aux.as_ref()?.get("ID")?.as_str()?;
    Some(id.to_owned())
}

/// The line about the context that is sent.
pub(super) fn sending(bytes: u64, is_last: bool) -> String {
    let end = if is_last { "\r\n" } else { "" };
    let size = human_size(bytes as f64);
    format!("Sending build context to Docker daemon {size:>8}\r{end}")
}

/// The failure a message tells of; its code is the one of the step that failed.
pub(super) fn failure(message: &Message) -> Option<Error> {
    let error = message.error.as_ref()?;
    let code = u8::try_from(error.code).unwrap_or(1).max(1);
    Some(Error::new(error.message.clone()).with_code(code))
}

/// Prints all messages to `out`; gives the image's ID.
pub(super) async fn show(
    values: &mut Messages,
    show: Show,
    out: &mut (dyn Write + Send),
) -> Result<Option<String>> {
    let mut screen = Screen::new(show);
    let mut id = None;
    while let Some(message) = values.next().await? {
        if let Some(failure) = failure(&message) {
            return Err(failure);
        }
        id = image_id(&message).or(id);
        let text = screen.render(&message)?;
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| pipe(&error))?;
    }
    Ok(id)
}
