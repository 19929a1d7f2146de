//! The grammar of the command line, which is that of Docker: tables of flags, parsing, checks of values, help pages.
//!
//! Flags are parsed by our own few hundred lines and not by clap because scripts depend on the grammar of Go's pflag
//! (`-e=X`, `--rm=false`, `-itv a:b`, options ending at the first argument of `run`) and on its error texts, byte by byte.

pub(crate) mod check; // is this text a value of that flag?
pub(crate) mod flag; // the description of a flag
pub(crate) mod help; // help pages
pub(crate) mod manual; // manual pages
pub(crate) mod parse; // arguments to matches
pub(crate) mod suggest; // the command that was meant

pub(crate) use flag::{Flag, list, switch, value};
pub(crate) use parse::{Matches, Positionals};
