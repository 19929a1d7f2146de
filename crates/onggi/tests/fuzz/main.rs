//! What comes from outside, bent by chance: archives, templates, frames, references, and the document of `create`. See
//! [`onggi_testkit::Fuzz`]; `cargo xtask fuzz` gives it minutes instead of a moment.

mod archives; // tars that are unpacked
mod create; // documents of create, sent to a daemon
mod frames; // streams of attach, and between daemon and monitor
mod words; // references, templates
