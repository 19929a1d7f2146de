//! Where in a Dockerfile something is wrong: the file, the line, the way out.

use onggi_model::Fault as _;

use super::BuildOptions;
use crate::error::Error;

/// What errors tell of where they are.
pub(super) struct Place {
    /// The Dockerfile.
    name: String,
    text: String,
    /// Whether the client draws steps, and shows lines as BuildKit does.
    has_steps: bool,
}

impl Place {
    pub(super) fn new(options: &BuildOptions, file: &[u8]) -> Self {
        let name = match options.dockerfile.as_str() {
            "" => "Dockerfile",
            name => name,
        };
        Self {
            name: name.to_owned(),
            text: String::from_utf8_lossy(file).into_owned(),
            has_steps: options.steps,
        }
    }

    /// An error with its place and the way out.
    pub(super) fn tell(&self, error: &onggi_builder::Error) -> Error {
        self.tell_of_step(error, None)
    }

    /// As [`Place::tell`], of a step. Docker's words come first: clients look for them.
    pub(super) fn tell_of_step(&self, error: &onggi_builder::Error, step: Option<&str>) -> Error {
        let told = Error::of(error);
        let name = &self.name;
        let way_out = error.way_out();
        let text = match (self.has_steps, error.lines()) {
            (true, lines) => {
                let marked = lines.map(|lines| lines.excerpt(name, &self.text));
                let step = step.map(|step| format!(" > {step}:\n"));
                let way_out = way_out.map(|way| format!(" ({way})"));
                format!(
                    "{}{}failed to solve: {told}{}",
                    step.filter(|_| lines.is_some()).unwrap_or_default(),
                    marked.unwrap_or_default(),
                    way_out.unwrap_or_default()
                )
            }
            // SDKs compare all of it.
            (false, _) if told.exit().is_some() => return told,
            (false, lines) => {
                let line = lines.map(|lines| format!(":{}", lines.first));
                let way_out = way_out.map(|way| format!(": {way}"));
                format!(
                    "{told} ({name}{}{})",
                    line.unwrap_or_default(),
                    way_out.unwrap_or_default()
                )
            }
        };
        told.saying(text)
    }
}
