//! What of a Dockerfile is probably not meant: BuildKit's checks, as warnings of a build that draws steps, and as errors
//! where the Dockerfile or `BUILDKIT_DOCKERFILE_CHECK` wants it so. Docker's first builder has none.

use onggi_api::stream::Message;
use onggi_builder::Outline;
use onggi_dockerfile::Dockerfile;
use onggi_dockerfile::lint::{Checks, lint};
use tokio::sync::mpsc;

use super::Building;
use crate::error::{Error, Result};

/// The argument that says which checks there are.
const CHECK: &str = "BUILDKIT_DOCKERFILE_CHECK";

impl Building {
    /// Warns of what is found.
    ///
    /// # Errors
    /// `InvalidParameter` for what was found where that is to be an error, and for options of checks that are none.
    pub(super) async fn check(
        &self,
        file: &Dockerfile,
        outline: &Outline,
        client: &mpsc::Sender<Message>,
    ) -> Result<()> {
        let asked = self.options.arguments.get(CHECK).and_then(Option::as_deref);
        let asked = asked.or(file.directives.check.as_deref());
        if asked.is_none() && !self.options.steps {
            return Ok(());
        }
        let checks = Checks::parse(asked.unwrap_or_default());
        let checks = checks.map_err(|fault| self.place.tell(&fault.into()))?;
        let findings = lint(file, &outline.stages, &checks, &|_| None);
        if self.options.steps {
            for finding in &findings {
                let (rule, line) = (finding.rule.name, finding.lines.first);
                let text = format!("{rule}: {} (line {line})", finding.message);
                self.warn(None, &text, client).await;
            }
        }
        match checks.fail && !findings.is_empty() {
            true => {
                let mut rules: Vec<&str> = Vec::new();
                for finding in &findings {
                    if !rules.contains(&finding.rule.name) {
                        rules.push(finding.rule.name);
                    }
                }
                let rules = rules.join(", ");
                let text = format!(
                    "lint violation found for rules: {rules} (onggi build --check shows them)"
                );
                Err(Error::invalid(text))
            }
            false => Ok(()),
        }
    }
}
