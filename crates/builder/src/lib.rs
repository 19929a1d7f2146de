//! From a Dockerfile to an image: which stages are needed, which steps they have, what each step is built on and what its
//! result is known by. Pure, but for [`files`], which moves the files of COPY, ADD and WORKDIR.
//!
//! [`Outline::of`] says what a build needs before anything is known but its text: the stages, in an order in which each
//! comes behind those it uses, and the images below them. With their configurations [`Outline::plan`] makes the steps.

mod arguments; // ARG, --build-arg, and what is set for everybody
mod error; // what cannot be built, in BuildKit's words
pub mod files; // what COPY, ADD and WORKDIR do to files
mod lower; // from stages to steps
mod outline; // stages and images that are needed
mod plan; // the steps
mod request; // what whoever builds asks for

pub use arguments::Arguments;
pub use error::Error;
pub use lower::BaseImages;
pub use outline::{Base, Outline, Source, Use};
pub use plan::{
    AddOptions, BaseImage, Built, CopyFiles, Directory, Exec, ImageFiles, Input, MountFrom, Op,
    Plan, Step,
};
pub use request::Request;
