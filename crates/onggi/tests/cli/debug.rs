//! `debug`: what is read in files, without a daemon.

use crate::ours;
use anyhow::{Result, ensure};
use onggi_testkit::Binaries;
use std::process::Command;

#[test]
fn dockerfiles_are_shown_as_they_are_read() -> Result<()> {
    if !ours() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("Dockerfile");
    let shown = |flags: &[&str], text: &str| -> Result<(bool, String, String)> {
        std::fs::write(&path, text)?;
        let output = Command::new(Binaries::built("onggi")?)
            .args(["debug", "dockerfile"])
            .args(flags)
            .arg(&path)
            .output()?;
        let text = |bytes| String::from_utf8(bytes);
        Ok((
            output.status.success(),
            text(output.stdout)?,
            text(output.stderr)?,
        ))
    };
    let file = "FROM busybox AS a\nCOPY --from=b <<E /x\n1\nE\nCMD [\"sh\"]\n";
    let (_, expressions, _) = shown(&["--ast"], file)?;
    let expected =
        "(from \"busybox\" \"AS\" \"a\")\n(copy [\"--from=b\"] \"<<E\" \"/x\")\n(cmd \"sh\")\n";
    ensure!(expressions == expected, "{expressions}");
    let (_, json, _) = shown(&[], file)?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    ensure!(
        json[0]["base"] == "busybox" && json[0]["name"] == "a",
        "{json}"
    );
    ensure!(json[1]["files"][0]["content"] == "1\n", "{json}");
    ensure!(json[2]["lines"]["first"] == 5, "{json}");
    let (worked, _, error) = shown(&[], "FROM busybox\nCOPI a b\n")?;
    ensure!(!worked && error.contains("2 | >>> COPI a b\n"), "{error}");
    let expected = "unknown instruction: COPI (did you mean COPY?)\n";
    ensure!(error.ends_with(expected), "{error}");
    Ok(())
}
