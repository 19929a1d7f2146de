//! The OCI distribution specification, one row for each MUST (and those SHOULDs clients lean on), as a black box.
//!
//! The same rows run against Debian's docker-registry. What that one does otherwise is in the row: a gap that is none
//! any more fails the test, so that the list stays true.

mod discovery; // tags, referrers
mod management; // deletion
mod pull; // GET and HEAD of manifests and blobs
mod push; // blobs, uploads, mounts, manifests

use anyhow::{Context, Result};
use onggi_testkit::{Namespace, OnggiRegistry, Registry, Request, Response};
use serde_json::json;

use crate::{Answers, installed};

/// One sentence of the specification, and how to see that it is kept.
struct Must {
    /// The sentence, in short.
    what: &'static str,
    /// Shows it, in a repository of its own.
    check: fn(&dyn Answers, &str) -> Result<()>,
    /// What docker-registry 2.8 does instead.
    gap: Option<&'static str>,
}

/// A row that both registries keep.
const fn must(what: &'static str, check: fn(&dyn Answers, &str) -> Result<()>) -> Must {
    Must {
        what,
        check,
        gap: None,
    }
}

impl Must {
    /// docker-registry does something else.
    const fn gap(self, instead: &'static str) -> Self {
        Self {
            gap: Some(instead),
            ..self
        }
    }
}

const TABLES: [(&str, &[Must]); 4] = [
    ("pull", pull::MUSTS),
    ("push", push::MUSTS),
    ("discovery", discovery::MUSTS),
    ("management", management::MUSTS),
];

impl Answers for Registry<'_> {
    fn ask(&self, request: Request<'_>) -> Result<Response> {
        self.send(&request)
    }
}

/// Runs all rows; gives those that fail.
fn run(registry: &dyn Answers) -> Vec<(&'static str, &'static Must, anyhow::Error)> {
    let mut failed = Vec::new();
    for (category, musts) in TABLES {
        for (number, must) in musts.iter().enumerate() {
            let name = format!("conformance/{category}/{number}");
            if let Err(error) = (must.check)(registry, &name) {
                failed.push((category, must, error));
            }
        }
    }
    failed
}

#[test]
fn ours_keeps_every_must() -> Result<()> {
    let namespace = Namespace::new()?;
    let registry = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let failed = run(&registry);
    let text: Vec<_> = failed
        .iter()
        .map(|(category, must, error)| format!("{category}: {}: {error:#}", must.what))
        .collect();
    assert!(text.is_empty(), "{}\n{}", text.join("\n"), registry.log());
    Ok(())
}

#[test]
fn debians_keeps_those_that_are_no_known_gaps() -> Result<()> {
    if !installed("docker-registry") {
        return Ok(());
    }
    let namespace = Namespace::new()?;
    let registry = Registry::start(&namespace, 5000).context("docker-registry")?;
    let failed = run(&registry);
    let mut wrong = Vec::new();
    for (category, must, error) in &failed {
        if must.gap.is_none() {
            wrong.push(format!("{category}: {}: {error:#}", must.what));
        }
    }
    for (category, musts) in TABLES {
        for must in musts {
            let fails = failed
                .iter()
                .any(|(_, other, _)| std::ptr::eq(*other, must));
            if let Some(gap) = must.gap.filter(|_| !fails) {
                wrong.push(format!("{category}: {}: no gap any more: {gap}", must.what));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
