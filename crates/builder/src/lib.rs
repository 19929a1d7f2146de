//! From a Dockerfile to an image: which stages are needed, which steps they have, what each step is built on and what its
//! result is known by.
//!
//! [`Outline::of`] says what a build needs before anything is known but its text: the stages, in an order in which each
//! comes behind those it uses, and the images below them. With their configurations [`Outline::plan`] makes the steps, and
//! [`Build::run`] does those that are not known, with the hands of whoever implements [`Steps`].

mod arguments; // ARG, --build-arg, and what is set for everybody
mod cache; // what is known of steps that were done
mod error; // what cannot be built, in BuildKit's words
pub mod exchange; // what builders tell each other of steps
mod execute; // doing the steps
pub mod fetch; // what ADD has from the web and from git
pub mod files; // what COPY, ADD and WORKDIR do to files
mod finish; // the image
mod hints; // what to do about what cannot be built
mod lower; // from stages to steps
mod outline; // stages and images that are needed
mod plan; // the steps
mod request; // what whoever builds asks for
mod steps; // what the engine does for builds

pub use arguments::Arguments;
pub use cache::Cache;
pub use error::Error;
pub use execute::{Around, Build, Failed, Finished, Results};
pub use finish::{image, inline_cache};
pub use lower::BaseImages;
pub use outline::{Base, Outline, Source, Use};
pub use plan::{
    AddOptions, BaseImage, Built, CopyFiles, Directory, Exec, ImageFiles, Input, MountFrom, Op,
    Plan, Step, Told,
};
pub use request::Request;
pub use steps::{Command, Ground, News, Output, Source as MountSource, Steps, View};
