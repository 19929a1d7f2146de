//! `build --check`: what is probably not meant in a Dockerfile. It is read here; no daemon is asked.

use onggi_dockerfile::lint::{Checks, Finding, lint};
use onggi_dockerfile::{Dockerfile, Stages};

use super::context::Source;
use crate::Cli;
use crate::args::Matches;
use crate::error::{Error, Result, path_error};

/// Prints what is found; the exit code says whether there is anything.
///
/// # Errors
/// When the Dockerfile is not here, or cannot be read.
pub(super) fn check(cli: &mut Cli, matches: &Matches, source: &Source) -> Result<u8> {
    let (name, text) = match source {
        Source::Dockerfile(text) => ("Dockerfile".to_owned(), text.clone()),
        Source::Directory(directory) => {
            let dockerfile = &directory.dockerfile;
            let text = match &dockerfile.text {
                Some(text) => text.clone(),
                None => {
                    let path = directory.root.join(&dockerfile.name);
                    std::fs::read(&path)
                        .map_err(|error| path_error("open", &path.display().to_string(), &error))?
                }
            };
            let name = dockerfile.shown.rsplit('/').next().unwrap_or_default();
            (name.to_owned(), text)
        }
        Source::Remote { .. } | Source::Archive { .. } => {
            return Err(Error::new(
                "--check reads the Dockerfile here: give it a directory, or the Dockerfile on STDIN",
            ));
        }
    };
    let argument = matches
        .all("build-arg")
        .filter_map(|text| text.strip_prefix("BUILDKIT_DOCKERFILE_CHECK="))
        .last();
    let (page, code) = report(&name, &String::from_utf8_lossy(&text), argument)?;
    cli.print(&page)?;
    Ok(code)
}

/// What is printed, and the exit code.
fn report(name: &str, text: &str, argument: Option<&str>) -> Result<(String, u8)> {
    let failed = |error: onggi_dockerfile::Error| {
        Error::new(format!("{}ERROR: {error}", error.excerpt(name, text)))
    };
    let file = Dockerfile::parse(text).map_err(failed)?;
    let stages = Stages::parse(&file).map_err(failed)?;
    let checks = argument
        .or(file.directives.check.as_deref())
        .unwrap_or_default();
    let checks = Checks::parse(checks).map_err(failed)?;
    let findings = lint(&file, &stages, &checks, &|_| None);
    let mut page = match findings.len() {
        0 => return Ok(("Check complete, no warnings found.\n".to_owned(), 0)),
        1 => "Check complete, 1 warning has been found!\n".to_owned(),
        count => format!("Check complete, {count} warnings have been found!\n"),
    };
    for finding in &findings {
        page.push_str(&told(finding, name, text));
    }
    Ok((page, 1))
}

fn told(finding: &Finding, name: &str, text: &str) -> String {
    let (rule, url) = (finding.rule.name, finding.rule.url());
    let excerpt = finding.lines.excerpt(name, text);
    format!("\nWARNING: {rule} - {url}\n{}\n{excerpt}", finding.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_as_buildkit_does() {
        let clean = report("Dockerfile", "FROM scratch\nCOPY a /\n", None);
        let found = ("Check complete, no warnings found.\n".to_owned(), 0);
        assert_eq!(clean, Ok(found));
        let text = "FROM scratch AS Base\nMAINTAINER me\n";
        let found = report("D", text, None).expect("findings");
        assert_eq!(
            found,
            (
                "Check complete, 2 warnings have been found!

WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/
Stage name 'Base' should be lowercase
D:1
--------------------
   1 | >>> FROM scratch AS Base
   2 |     MAINTAINER me
   3 |     
--------------------

WARNING: MaintainerDeprecated - https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/
Maintainer instruction is deprecated in favor of using label
D:2
--------------------
   1 |     FROM scratch AS Base
   2 | >>> MAINTAINER me
   3 |     
--------------------
"
                .to_owned(),
                1
            )
        );
        let one = report("D", text, Some("skip=StageNameCasing")).expect("findings");
        assert!(
            one.0
                .starts_with("Check complete, 1 warning has been found!\n")
        );
        let error = report("D", "FROM scratch\nCPY a b\n", None).expect_err("no instruction");
        assert!(error.message.starts_with("D:2\n"), "{}", error.message);
        assert!(
            error
                .message
                .contains("ERROR: dockerfile parse error on line 2"),
            "{}",
            error.message
        );
    }
}
