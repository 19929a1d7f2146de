//! Dockerfiles and .dockerignore files: text to typed instructions. No files are opened here and nothing is built: the
//! graph of a build, its cache and its steps are in `builder`.
//!
//! The way of a text: [`Dockerfile::parse`] cuts it into [`Statement`]s (continued lines, here-documents, flags, words),
//! [`Instruction::parse`] gives one its type, [`Stages::parse`] groups them. Variables are still in the words then;
//! [`expand::Lexer`] puts their values in when the builder knows them.
//!
//! The language is the one of Docker's Dockerfile reference; errors are in BuildKit's words, since people search for them.

mod directive; // # syntax=, # escape=, # check=
mod dockerfile; // text to statements
mod error; // what is wrong, and on which lines
pub mod expand; // $variables, quotes and words
mod flags; // --from=build and the like, of one instruction
mod heredoc; // <<EOF
pub mod ignore; // .dockerignore
pub mod instruction; // what each statement means
pub mod lint; // what is probably not meant
mod pattern; // ${name#pattern}
mod stage; // what belongs together
mod suggest; // did you mean ...?
mod words; // how the arguments of a statement are cut

pub use directive::{Directives, Escape};
pub use dockerfile::{Dockerfile, EmptyContinuation, Form, Statement};
pub use error::{Error, Lines};
pub use heredoc::Heredoc;
pub use instruction::Instruction;
pub use stage::{Stage, Stages, Step};
pub use suggest::nearest;
