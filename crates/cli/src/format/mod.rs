//! `--format`: tables, JSON and templates over rows.

pub(crate) mod rows; // lists of rows
pub(crate) mod table; // columns of text

pub(crate) use rows::{Column, Kind, List, column};
