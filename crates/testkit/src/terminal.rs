//! A terminal that a test types into: a session of tmux, with a server of its own.

use crate::namespace::Namespace;
use crate::wait::{LIMIT, wait_until};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs the command and writes its exit code; tmux itself forgets it now and then.
const KEEP_CODE: &str = r#"trap : INT; "$@"; echo $? > "$0.new"; mv "$0.new" "$0""#;

/// A command in a terminal. Dropping it ends both.
#[derive(Debug)]
pub struct Terminal {
    folder: tempfile::TempDir,
}

impl Terminal {
    /// Whether tmux is installed.
    pub fn is_possible() -> bool {
        Command::new("tmux")
            .arg("-V")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    }

    /// Runs a command with its environment in a terminal of that many columns and rows.
    ///
    /// # Errors
    /// When tmux refuses.
    pub fn start(
        namespace: &Namespace,
        command: &Command,
        columns: u16,
        rows: u16,
    ) -> Result<Self> {
        let terminal = Self {
            folder: tempfile::Builder::new()
                .prefix("onggi-tty")
                .tempdir_in("/tmp")?,
        };
        let configuration = terminal.folder.path().join("conf");
        std::fs::write(
            &configuration,
            "set -g status off\nset -g remain-on-exit on\nset -g history-limit 10000\n",
        )?;
        let mut tmux = Command::new("tmux");
        tmux.arg("-S")
            .arg(terminal.socket())
            .arg("-f")
            .arg(configuration);
        tmux.args([
            "new-session",
            "-d",
            "-x",
            &columns.to_string(),
            "-y",
            &rows.to_string(),
            "--",
        ]);
        tmux.args(["sh", "-c", KEEP_CODE]).arg(terminal.code());
        tmux.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => tmux.env(name, value),
                None => tmux.env_remove(name),
            };
        }
        tmux.env_remove("TMUX")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let status = namespace.spawn(&mut tmux)?.wait()?;
        if !status.success() {
            bail!("tmux: {status}");
        }
        Ok(terminal)
    }

    /// Types a text, as it is.
    ///
    /// # Errors
    /// When tmux is gone.
    pub fn write(&self, text: &str) -> Result<()> {
        self.tmux(&["send-keys", "-l", text]).map(drop)
    }

    /// Presses keys by tmux's names: `Enter`, `C-p`.
    ///
    /// # Errors
    /// When tmux is gone.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        self.tmux(&[&["send-keys"], keys].concat()).map(drop)
    }

    /// A line and Enter.
    ///
    /// # Errors
    /// When tmux is gone.
    pub fn enter(&self, line: &str) -> Result<()> {
        self.write(line)?;
        self.press(&["Enter"])
    }

    /// Changes the size.
    ///
    /// # Errors
    /// When tmux is gone.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows])
            .map(drop)
    }

    /// All that can be seen, and what has scrolled away.
    ///
    /// # Errors
    /// When tmux is gone.
    pub fn screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p", "-J", "-S", "-"])
    }

    /// Waits until this can be seen.
    ///
    /// # Errors
    /// When the limit has passed; with what can be seen instead.
    pub fn expect(&self, text: &str) -> Result<()> {
        let mut screen = String::new();
        wait_until("a text on the terminal", LIMIT, || {
            screen = self.screen().ok()?;
            screen.contains(text).then_some(())
        })
        .with_context(|| format!("no {text:?} on\n{}", screen.trim_end()))
    }

    /// Waits for the end of the command; its exit code.
    ///
    /// # Errors
    /// When the limit has passed; with what can be seen.
    pub fn wait(&self) -> Result<i32> {
        wait_until("the command in the terminal to end", LIMIT, || {
            std::fs::read_to_string(self.code())
                .ok()?
                .trim_end()
                .parse()
                .ok()
        })
        .with_context(|| self.screen().unwrap_or_default())
    }

    fn code(&self) -> PathBuf {
        self.folder.path().join("code")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(self.socket())
            .args(arguments)
            .env_remove("TMUX")
            .output()?;
        if !output.status.success() {
            bail!(
                "tmux {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Gone is as good.
        let _ = self.tmux(&["kill-server"]);
    }
}
