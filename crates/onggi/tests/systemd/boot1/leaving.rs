//! Containers for the end of the machine and its next boot; `boot2` looks at what became of them.

use crate::machine::Machine;
use anyhow::Result;

/// Leaves after three seconds of work once it is told to.
const POLITE: &str =
    "trap \"sleep 3; echo done >/work/done; exit 7\" TERM; echo up; while :; do sleep 0.1; done";
/// Does not go.
const STUBBORN: &str = "trap : TERM; echo up; while :; do sleep 0.1; done";

#[test]
fn containers_for_the_end() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    let run = |flags: &str, script: &str| {
        machine.ok(&format!("onggi run -d {flags} busybox sh -c '{script}'"))
    };
    let forever = "echo up; while :; do sleep 1; done";
    run("--name polite --stop-timeout 60 -v work:/work", POLITE)?;
    run("--name stubborn --stop-timeout 1", STUBBORN)?;
    run("--name always --restart always", forever)?;
    run(
        "--name journal --restart always --log-driver journald",
        forever,
    )?;
    run("--name unless --restart unless-stopped", forever)?;
    run(
        "--name stopped --restart unless-stopped --stop-timeout 0",
        forever,
    )?;
    run("--name retired --restart always --stop-timeout 0", forever)?;
    run("--name never", "sleep 1000")?;
    for name in ["polite", "stubborn", "always", "journal", "unless"] {
        machine.until(&format!("onggi logs {name}"), "up")?;
    }
    machine.ok("onggi stop stopped retired").map(drop)
}
