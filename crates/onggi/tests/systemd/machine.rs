//! Commands on the machine, as root and as others.

use anyhow::{Context, Result, anyhow, bail};
use onggi_testkit::{Image, LIMIT, Namespace, Output, Process, wait_until};
use std::process::Command;
use std::sync::OnceLock;

/// Whether this is the machine that these tests may do with as they like; says so when it is not.
fn is_here() -> bool {
    let here = std::env::var("ONGGI_GUEST").is_ok_and(|guest| guest == "systemd");
    if !here {
        eprintln!("skipped: needs the guest of `cargo xtask vm --systemd`");
    }
    here
}

/// The machine with the service installed, enabled and running.
pub(crate) struct Machine(());

impl Machine {
    /// `None` elsewhere than in the guest.
    pub(crate) fn get() -> Result<Option<Self>> {
        static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
        if !is_here() {
            return Ok(None);
        }
        let machine = Self(());
        let installed = INSTALLED.get_or_init(|| machine.install().map_err(|e| format!("{e:#}")));
        installed.clone().map_err(|text| anyhow!(text))?;
        // Tests start and stop it more often than a unit may within a minute.
        machine.ok("systemctl reset-failed onggi.service onggi.socket")?;
        machine.ok("systemctl start onggi.socket onggi.service")?;
        Ok(Some(machine))
    }

    fn install(&self) -> Result<()> {
        if std::path::Path::new("/usr/local/bin/onggid").exists() {
            return Ok(());
        }
        self.ok("/tests/xtask install --from /built")?;
        self.ok("usermod --append --groups onggi member")?;
        self.ok("systemctl enable --now onggi.socket onggi.service")?;
        std::fs::write(
            "/root/busybox.tar",
            Image::busybox()?.save(&["busybox:latest"])?,
        )?;
        self.ok("onggi load -i /root/busybox.tar").map(drop)
    }

    /// Runs a line of shell.
    pub(crate) fn sh(&self, script: &str) -> Result<Output> {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        Process::start(&Namespace::current()?, &mut shell)?
            .wait()
            .with_context(|| script.to_owned())
    }

    /// What it prints; it has to succeed.
    pub(crate) fn ok(&self, script: &str) -> Result<String> {
        let output = self.sh(script)?;
        let text = output.ok().map(str::to_owned);
        text.with_context(|| script.to_owned())
    }

    /// As another user, in all groups the user is in.
    pub(crate) fn sh_as(&self, user: &str, script: &str) -> Result<Output> {
        let switch = format!("setpriv --reuid {user} --regid {user} --init-groups");
        self.sh(&format!("{switch} env HOME=/home/{user} sh -c '{script}'"))
    }

    /// `inspect -f`.
    pub(crate) fn inspect(&self, container: &str, template: &str) -> Result<String> {
        self.ok(&format!("onggi inspect -f '{template}' {container}"))
    }

    /// Waits until a command succeeds and prints that.
    pub(crate) fn until(&self, script: &str, expected: &str) -> Result<()> {
        let mut last = None;
        let found = wait_until(script, LIMIT, || {
            let output = self.sh(script).ok()?;
            let fits = output.ok().is_ok_and(|text| text.contains(expected));
            last = Some(output);
            fits.then_some(())
        });
        found.with_context(|| format!("{expected:?} is not in {last:?}"))
    }

    /// Restarts the service with this configuration, and takes it away again when the value is dropped.
    pub(crate) fn configured(&self, json: &str) -> Result<Configured<'_>> {
        let file = "/etc/onggi/daemon.json";
        if std::path::Path::new(file).exists() {
            bail!("{file} is there already");
        }
        std::fs::create_dir_all("/etc/onggi")?;
        std::fs::write(file, json)?;
        let configured = Configured(self, file);
        self.ok("systemctl restart onggi.service")?;
        Ok(configured)
    }
}

/// See [`Machine::configured`].
pub(crate) struct Configured<'a>(&'a Machine, &'a str);

impl Drop for Configured<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.1);
        let _ = self.0.sh("systemctl reset-failed onggi.service");
        let _ = self.0.sh("systemctl restart onggi.service");
    }
}
