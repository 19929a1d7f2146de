//! Plugins of Docker's CLI.

use crate::{ours, script};
use anyhow::{Result, ensure};
use onggi_testkit::Daemon;

#[test]
fn plugins_are_found_listed_and_run() -> Result<()> {
    let daemon = Daemon::start()?;
    let folder = daemon.path("config/cli-plugins");
    script(
        &folder.join("docker-hello"),
        r#"case "$1" in
docker-cli-plugin-metadata) echo '{"SchemaVersion":"0.1.0","Vendor":"us","Version":"v7","ShortDescription":"Greets"}';;
__complete) printf 'world\tall of it\n:4\n';;
*) echo "$*"; cat; exit 7;;
esac"#,
    )?;
    script(&folder.join("docker-broken"), "exit 3")?;
    let output = daemon.cli_with_input(&["hello", "--who", "world"], b"piped")?;
    ensure!(
        output.code == 7 && output.stdout == "hello --who world\npiped",
        "{output:?}"
    );
    let output = daemon.cli(&["broken"])?;
    ensure!(
        output.code == 1 && output.stderr.contains("unknown command"),
        "{output:?}"
    );
    ensure!(
        daemon
            .cli(&["--help"])?
            .ok()?
            .contains("  hello*      Greets\n")
    );
    let info = daemon.cli(&["info"])?;
    ensure!(
        info.stdout
            .contains(" Plugins:\n  hello: Greets (us)\n    Version:  v7\n"),
        "{info:?}"
    );
    ensure!(
        info.stderr
            .contains("docker-broken\" is not valid: failed to fetch metadata: exit status 3"),
        "{info:?}"
    );
    // In the place of the builder, when the configuration says so.
    crate::configure(&daemon, r#"{"aliases":{"builder":"hello"}}"#)?;
    let output = daemon.cli(&["build", "--who", "me", "."])?;
    ensure!(
        output.code == 7 && output.stdout == "hello build --who me .\n",
        "{output:?}"
    );
    let output = daemon.cli(&["builder", "prune"])?;
    ensure!(output.stdout == "hello prune\n", "{output:?}");
    crate::configure(&daemon, r#"{"aliases":{"ps":"hello"}}"#)?;
    let output = daemon.cli(&["version"])?;
    ensure!(
        output.code == 1 && output.stderr.starts_with("not allowed to alias \"ps\""),
        "{output:?}"
    );
    crate::configure(&daemon, "{}")?;
    if ours() {
        ensure!(daemon.cli(&["__complete", "--", "hello", "w"])?.ok()? == "world");
    }
    daemon.clean()
}
