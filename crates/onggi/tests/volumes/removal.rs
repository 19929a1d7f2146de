//! Who keeps a volume, and who does not.

use crate::{cli, daemon, names, points, refuses, says};
use anyhow::{Context, Result, ensure};

#[test]
fn a_volume_in_use_stays() -> Result<()> {
    let daemon = daemon()?;
    let one = cli(
        &daemon,
        &["create", "--name", "one", "-v", "data:/d", "busybox"],
    )?;
    let text = format!("remove data: volume is in use - [{one}]");
    refuses(&daemon, &["volume", "rm", "data"], &text)?;
    refuses(&daemon, &["volume", "rm", "-f", "data"], &text)?;
    let answer = daemon.delete("/volumes/data")?;
    ensure!(answer.status == 409, "{}", answer.text());
    cli(
        &daemon,
        &[
            "run", "-d", "--name", "two", "-v", "data:/d", "busybox", "sleep", "1000",
        ],
    )?;
    cli(&daemon, &["rm", "one"])?;
    refuses(&daemon, &["volume", "rm", "data"], "volume is in use - [")?;
    let dangling = cli(&daemon, &["volume", "ls", "-qf", "dangling=true"])?;
    ensure!(dangling.is_empty(), "{dangling}");
    // Named: neither -v nor the container's end takes it.
    cli(&daemon, &["rm", "-vf", "two"])?;
    ensure!(names(&daemon)? == ["data"]);
    ensure!(cli(&daemon, &["volume", "rm", "data"])? == "data");
    daemon.clean()
}

#[test]
fn anonymous_volumes_go_only_when_asked() -> Result<()> {
    let daemon = daemon()?;
    // --rm takes them, and leaves named ones.
    says(
        &daemon,
        &["-v", "/a", "--mount", "target=/b", "-v", "kept:/c"],
        "touch /a/x /b/x",
    )?;
    ensure!(names(&daemon)? == ["kept"]);
    cli(&daemon, &["create", "--name", "one", "-v", "/a", "busybox"])?;
    let anonymous = points(&daemon, "one")?[0]["Name"]
        .as_str()
        .context("Name")?
        .to_owned();
    cli(&daemon, &["rm", "one"])?;
    ensure!(names(&daemon)?.contains(&anonymous));
    // By its name it is like any other.
    says(&daemon, &["-v", &format!("{anonymous}:/a")], "touch /a/x")?;
    ensure!(names(&daemon)?.contains(&anonymous));
    cli(&daemon, &["volume", "rm", &anonymous])?;
    // The last of those that have it takes it along.
    cli(&daemon, &["create", "--name", "one", "-v", "/a", "busybox"])?;
    cli(
        &daemon,
        &[
            "create",
            "--name",
            "two",
            "--volumes-from",
            "one",
            "busybox",
        ],
    )?;
    cli(&daemon, &["rm", "-v", "one"])?;
    ensure!(names(&daemon)?.len() == 2);
    cli(&daemon, &["rm", "-v", "two"])?;
    ensure!(names(&daemon)? == ["kept"]);
    daemon.clean()
}
