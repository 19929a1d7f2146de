//! Sizes and durations as the canonical document writes them: bytes as a text, durations as Go does.

use std::time::Duration;

use onggi_model::units::parse_duration;
use serde::de::{Deserialize, Deserializer, Error};

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Either {
    Number(f64),
    Text(String),
}

/// Bytes.
pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    size_some(from).map(Option::unwrap_or_default)
}

/// Bytes, or nothing said.
pub(super) fn size_some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    match Option::<Either>::deserialize(from)? {
        None => Ok(None),
        Some(Either::Number(number)) => Ok(Some(number as i64)),
        Some(Either::Text(text)) => text.parse().map(Some).map_err(D::Error::custom),
    }
}

/// `1m30s`, or nothing said.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let read = |text: String| parse_duration(&text).map_err(D::Error::custom);
    text.map(read).transpose()
}

/// A number of processors, written as a number or a text.
pub(super) fn float<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    match Option::<Either>::deserialize(from)? {
        None => Ok(0.0),
        Some(Either::Number(number)) => Ok(number),
        Some(Either::Text(text)) => text.parse().map_err(D::Error::custom),
    }
}

/// A file mode, in octal digits.
pub(super) fn mode<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let read = |text: String| u32::from_str_radix(&text, 8).map_err(D::Error::custom);
    text.map(read).transpose()
}
