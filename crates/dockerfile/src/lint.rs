//! What is no error and yet probably not meant: BuildKit's build checks, by the same names.
//!
//! Not here: what needs the files of the context (`CopyIgnoredFile`) or the base images (`InvalidBaseImagePlatform`).

mod casing; // keywords and names
mod rules; // the table
mod variables; // names that nobody declared
mod words; // what one instruction says

use serde::Serialize;

pub use rules::Rule;

use crate::{Dockerfile, Error, Lines, Stages};

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// By which rule.
    pub rule: &'static Rule,
    /// What is found.
    pub message: String,
    /// Where.
    pub lines: Lines,
}

/// What `# check=` and `--build-arg BUILDKIT_DOCKERFILE_CHECK=` say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    skip_all: bool,
    skipped: Vec<String>,
    experimental_all: bool,
    experimental: Vec<String>,
    /// Findings are errors.
    pub fail: bool,
}

/// The variables of a base image, if they are known.
pub type BaseVariables<'a> = dyn Fn(&str) -> Option<Vec<String>> + 'a;

impl Checks {
    /// Reads `skip=all`, `skip=Rule,Rule;error=true;experimental=Rule`.
    ///
    /// # Errors
    /// Other keys, and an `error` that is neither true nor false.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut checks = Self::default();
        for part in text
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let Some((key, value)) = part.split_once('=') else {
                return Err(Error::new(format!("invalid check option {part:?}")));
            };
            let names = || {
                value
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect()
            };
            match (key.trim(), value.trim()) {
                ("skip", "all") => checks.skip_all = true,
                ("skip", _) => checks.skipped = names(),
                ("experimental", "all") => checks.experimental_all = true,
                ("experimental", _) => checks.experimental = names(),
                ("error", truth) => {
                    checks.fail = truth.parse().map_err(|_| {
                        Error::new(format!("failed to parse check option {part:?}"))
                    })?;
                }
                (key, _) => return Err(Error::new(format!("invalid check option {key:?}"))),
            }
        }
        Ok(checks)
    }

    fn wants(&self, rule: &Rule) -> bool {
        let is_in = |names: &[String]| {
            names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(rule.name))
        };
        if rule.is_experimental && !self.experimental_all && !is_in(&self.experimental) {
            return false;
        }
        !self.skip_all && !is_in(&self.skipped)
    }
}

/// All that is found in a file, in the order of its lines.
pub fn lint(
    file: &Dockerfile,
    stages: &Stages,
    checks: &Checks,
    base: &BaseVariables<'_>,
) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    for empty in &file.empty_continuations {
        findings.add(
            &rules::NO_EMPTY_CONTINUATION,
            empty.lines,
            "Empty continuation line".to_owned(),
        );
    }
    casing::check(file, stages, &mut findings);
    words::check(stages, &mut findings);
    variables::check(file, stages, base, &mut findings);
    let mut findings = findings.0;
    findings.retain(|finding| checks.wants(finding.rule));
    findings.sort_by_key(|finding| finding.lines.first);
    findings
}

/// Gathers them.
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, rule: &'static Rule, lines: Lines, message: String) {
        self.0.push(Finding {
            rule,
            message,
            lines,
        });
    }
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
