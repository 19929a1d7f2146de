//! A scene: a daemon, the command line that is typed on it, and images under the names that users know.

use anyhow::{Context, Result, bail, ensure};
use onggi_testkit::{
    Client, Daemon, DaemonOptions, Entry, Image, LIMIT, Layer, Output, Process, Subject, Terminal,
    wait_until,
};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which command line is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cli {
    Onggi,
    Docker,
}

/// Docker's command line, where there is one.
pub(crate) fn docker() -> Option<PathBuf> {
    ["/usr/local/bin/docker", "/usr/bin/docker"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
}

/// What is played.
pub(crate) struct Scene {
    pub(crate) daemon: Daemon,
    pub(crate) cli: Cli,
}

/// Plays a scene with a command line, or says why not.
pub(crate) fn as_typed(cli: Cli, play: impl Fn(&Scene) -> Result<()>) -> Result<()> {
    let Some(scene) = Scene::open(cli)? else {
        return Ok(());
    };
    play(&scene)?;
    scene.daemon.clean()
}

impl Scene {
    /// A daemon with busybox that looks for others in a registry on port 5000.
    pub(crate) fn open(cli: Cli) -> Result<Option<Self>> {
        let client = match (cli, docker()) {
            (Cli::Onggi, _) => Client::Onggi,
            (Cli::Docker, Some(path)) => Client::Docker(path),
            (Cli::Docker, None) => {
                eprintln!("skipped: no docker CLI is installed");
                return Ok(None);
            }
        };
        let daemon = Daemon::start_with(DaemonOptions {
            client: Some(client),
            arguments: vec!["--registry-mirror=http://127.0.0.1:5000".to_owned()],
            ..DaemonOptions::default()
        })?;
        daemon.load_busybox()?;
        Ok(Some(Self { daemon, cli }))
    }

    /// Types a line and waits for its end.
    pub(crate) fn typed(&self, line: &str) -> Result<Output> {
        self.typed_with(line, b"")
    }

    /// Types a line with this on its standard input.
    pub(crate) fn typed_with(&self, line: &str, input: &[u8]) -> Result<Output> {
        let words = words(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.daemon.cli_with_input(&words, input)
    }

    /// What a line prints that has to succeed, without the last line end.
    pub(crate) fn ok(&self, line: &str) -> Result<String> {
        let output = self.typed(line)?;
        output
            .ok()
            .map(str::to_owned)
            .with_context(|| line.to_owned())
    }

    /// Whether a line prints this.
    pub(crate) fn says(&self, line: &str, text: &str) -> Result<()> {
        let said = self.ok(line)?;
        ensure!(said == text, "{line}: {said:?} instead of {text:?}");
        Ok(())
    }

    /// Whether a line prints these lines, in whatever order.
    pub(crate) fn lists(&self, line: &str, lines: &[&str]) -> Result<()> {
        let said = self.ok(line)?;
        let mut said: Vec<&str> = said.lines().collect();
        said.sort_unstable();
        ensure!(said == lines, "{line}: {said:?} instead of {lines:?}");
        Ok(())
    }

    /// Whether a line fails with this code and says this.
    pub(crate) fn fails(&self, line: &str, code: i32, text: &str) -> Result<()> {
        let output = self.typed(line)?;
        ensure!(
            output.code == code && output.stderr.contains(text),
            "{line}: {output:?} instead of {code} {text:?}"
        );
        Ok(())
    }

    /// Waits until a line prints something that fits.
    pub(crate) fn until(&self, line: &str, fits: impl Fn(&str) -> bool) -> Result<String> {
        let mut last = None;
        wait_until(line, LIMIT, || {
            let output = self.typed(line).ok()?;
            let said = output.ok().ok().map(str::to_owned);
            last = Some(output);
            said.filter(|said| fits(said))
        })
        .with_context(|| format!("{last:?}"))
    }

    /// Waits until a container is in this state.
    pub(crate) fn comes_to(&self, container: &str, state: &str) -> Result<()> {
        let line = format!("inspect -f {{{{.State.Status}}}} {container}");
        self.until(&line, |said| said == state).map(drop)
    }

    /// Types a line and lets it run.
    pub(crate) fn process(&self, line: &str) -> Result<Process> {
        let words = words(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.daemon.cli_process(&words)
    }

    /// Types a line on a terminal; `None`, with the reason, where there is none.
    pub(crate) fn terminal(&self, line: &str) -> Result<Option<Terminal>> {
        if !Terminal::is_possible() {
            eprintln!("skipped: tmux is not installed");
            return Ok(None);
        }
        let words = words(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let command = self.daemon.cli_command(&words)?;
        Terminal::start(self.daemon.namespace(), &command, 120, 40).map(Some)
    }

    /// What a web server answers on an address of the host, without the headers.
    pub(crate) fn fetch(&self, address: &str) -> Result<String> {
        let connect = || TcpStream::connect(address);
        let mut stream = self.daemon.namespace().run(connect)??;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((_, body)) => Ok(body.trim_end().to_owned()),
            None => bail!("no answer: {answer:?}"),
        }
    }

    /// Waits until a web server answers with this.
    pub(crate) fn serves(&self, address: &str, text: &str) -> Result<()> {
        let mut last = None;
        wait_until("the web server", LIMIT, || {
            last = Some(self.fetch(address));
            matches!(&last, Some(Ok(body)) if body == text).then_some(())
        })
        .with_context(|| format!("{address}: {last:?}"))
    }

    /// Whether Docker's daemon plays.
    pub(crate) fn on_dockerd(&self) -> bool {
        self.daemon.subject() == Subject::Dockerd
    }
}

/// Splits a line as a shell does that knows single quotes.
pub(crate) fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    ensure!(!quoted, "a quote is open: {line}");
    words.extend(word);
    Ok(words)
}

/// What stands for `ubuntu`: busybox with a `bash`.
pub(crate) fn ubuntu() -> Result<Image> {
    let bash = Entry::File(
        "bin/bash".into(),
        0o755,
        b"#!/bin/sh\nexec sh \"$@\"\n".into(),
    );
    let issue = Entry::File("etc/os-release".into(), 0o644, b"ID=ubuntu\n".into());
    let image = Image::busybox()?.layer(Layer::new(&[bash, issue])?);
    Ok(image.config(json!({
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Cmd": ["/bin/bash"],
    })))
}

/// What stands for `httpd`: a page on port 80 that says `It works!`.
pub(crate) fn httpd() -> Result<Image> {
    let page = Entry::File("var/www/index.html".into(), 0o644, b"It works!\n".into());
    let program = b"#!/bin/sh\nexec httpd -f -p \"${PORT:-80}\" -h /var/www\n";
    let start = Entry::File("bin/httpd-foreground".into(), 0o755, program.to_vec());
    let image = Image::busybox()?.layer(Layer::new(&[page, start])?);
    Ok(image.config(json!({
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Cmd": ["httpd-foreground"],
        "ExposedPorts": {"80/tcp": {}},
        "StopSignal": "SIGKILL",
    })))
}

/// Whether Debian's registry is installed; says so where it is not.
pub(crate) fn has_registry() -> bool {
    let there = Command::new("docker-registry").arg("--version").output();
    if there.is_err() {
        eprintln!("skipped: no docker-registry is installed");
    }
    there.is_ok()
}

/// A folder of the test that everybody may look into.
pub(crate) fn folder(scene: &Scene, name: &str) -> Result<PathBuf> {
    let path = scene.daemon.path(name);
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

/// Waits for a file that a container writes, and reads it.
pub(crate) fn written(path: &Path) -> Result<String> {
    wait_until("a file to be written", LIMIT, || {
        std::fs::read_to_string(path)
            .ok()
            .filter(|text| text.ends_with('\n'))
    })
    .with_context(|| path.display().to_string())
}
