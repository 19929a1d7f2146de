//! Compose: from files to the model of a whole application. The files of the Compose Specification are read with their
//! places, their variables replaced, several of them merged, and the result checked and completed; [`config`] prints it as
//! `docker compose config` does. [`observe`] tells what an engine has of it.
//!
//! What the model understands is in [`docs/COMPOSE.md`](https://github.com/onggi/onggi/blob/main/docs/COMPOSE.md).

mod canonical; // short forms to long ones
mod check; // what the schema cannot say
pub mod command; // the commands that change something
mod compose; // the commands, carried out
pub mod config; // the project, printed
mod defaults; // what holds when no file says anything
pub mod dotenv; // files of variables
mod env_files; // `env_file` and `label_file` of services
mod environment; // variables, and where their values come from
mod error; // what is wrong, and where
pub mod execute; // plans carried out
mod extends; // a service over another one
mod files; // which files a project is made of
mod include; // projects within a project
pub mod labels; // by which Compose knows its own
mod load; // from options to a project
mod merge; // a later file over an earlier one
mod name; // the project's name
mod node; // a document with places
mod normalize; // what a project means without saying it
mod observe; // what an engine has of a project
mod options; // what a project is to be made of
mod paths; // relative paths
pub mod plan; // what is to be done, as data
mod profiles; // services that run when asked for
mod project; // a project that is ready
pub mod request; // a service turned into what the Engine API wants
mod scalar; // what a plain scalar of YAML is
mod schema; // the JSON schema of the specification
mod select; // some of the services, and what they need
pub mod service; // a project with types
mod table; // rules by path
pub mod template; // $VARIABLE and ${VARIABLE...}
mod values; // numbers, truths, sizes, durations, modes
mod yaml; // text to trees

pub use compose::{Compose, Known, check};
pub use environment::{Candidate, Environment, Source, Use};
pub use error::{Error, Problem};
pub use execute::{Event, Failure, Host};
pub use load::load;
pub use node::{Entry, Map, Mark, Node, Place, Value};
pub use observe::{
    Container, Health, Observed, ProjectSummary, State, containers, observe, projects,
};
pub use options::{Options, Step};
pub use project::{Project, Said};
pub use service::{Application, Service};
