//! What `compose config` prints, as functions of a project: the whole of it as YAML or JSON, lists of its parts, the hash
//! of a service, the variables it was made with.

mod hash; // what makes a service another one
mod json; // the project as JSON
mod list; // names of parts, images, variables
mod shape; // which keys in which order
mod why; // where a variable's value comes from
mod yaml; // the project as YAML

pub use hash::{hash, hashes};
pub use json::{json, json_value};
pub use list::{VariableRow, environment, images, models, networks, services, variables, volumes};
pub use why::{Why, why};
pub use yaml::yaml;

pub(crate) use json::value as json_of;
