//! Go's text/template as the Docker command line speaks it: `--format`, log tags, templates of services.
//!
//! A thin layer over the `gotmpl` crate (which parses and runs templates). What is added here: Docker's functions, JSON
//! that keeps the order of its fields, Go's way of printing structs and maps, and errors with Go's texts and positions.

mod data; // values for templates, with the shape Go would give them
mod error; // errors, with Go's texts
mod funcs; // Docker's template functions
mod json; // Go's JSON writing
mod print; // Go's `%v`
mod rewrite; // from a parsed template to one that knows where it is
mod template; // parse and render

pub use data::{Data, Field, Kinds, Plain};
pub use error::{Error, Result};
pub use funcs::Functions;
pub use json::{escape_html, write_pretty};
pub use template::Template;
