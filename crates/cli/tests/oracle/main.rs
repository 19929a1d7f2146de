//! Our command line beside the real docker CLI 28, both talking to the same dockerd 20.10: stdout, stderr and exit code
//! are compared byte by byte. Where either program is missing, or we are not root, it is skipped and the reason printed.
//!
//! The daemon runs in a network namespace and folders of its own. `cargo test` runs this file's `main`; with
//! `ONGGI_TEST_CLI` set it is the command line under test instead.

#![expect(clippy::print_stdout, reason = "a test reports on stdout")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases; // what is compared
mod daemon; // the dockerd to talk to

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Output, Stdio};

use cases::{QUERIES, SCRIPTS, TERMINAL};
use daemon::Daemon;

fn main() -> ExitCode {
    if std::env::var_os("ONGGI_TEST_CLI").is_some() {
        let args = std::env::args().skip(1);
        let args = std::iter::once("docker".to_owned()).chain(args);
        return onggi_cli::main(args, std::env::vars().collect());
    }
    if std::env::args().any(|arg| arg == "--list") {
        println!("docker_and_ours_print_the_same: test");
        return ExitCode::SUCCESS;
    }
    let daemon = match Daemon::start() {
        Ok(daemon) => daemon,
        Err(reason) => {
            println!("skipped: {reason}");
            return ExitCode::SUCCESS;
        }
    };
    let subjects = [Subject::docker(&daemon), Subject::ours(&daemon)];
    let mut report = Report::default();
    queries(&subjects, &mut report);
    scripts(&subjects, &mut report);
    clients(&subjects, &mut report);
    terminal(&subjects, &mut report);
    for difference in &report.differences {
        println!("{difference}");
    }
    println!(
        "{} compared, {} differ",
        report.compared,
        report.differences.len()
    );
    if report.differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[derive(Default)]
struct Report {
    compared: usize,
    differences: Vec<String>,
}

/// One of the two programs.
struct Subject {
    program: String,
    /// Set for ours, which is this very program.
    ours: bool,
    socket: String,
    home: String,
}

impl Subject {
    fn docker(daemon: &Daemon) -> Self {
        Subject {
            program: "docker".to_owned(),
            ours: false,
            socket: daemon.socket(),
            home: daemon.home(),
        }
    }

    fn ours(daemon: &Daemon) -> Self {
        let program = std::env::current_exe().unwrap().display().to_string();
        Subject {
            program,
            ours: true,
            ..Self::docker(daemon)
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("TERM", "xterm")
            .env("DOCKER_HOST", &self.socket);
        if self.ours {
            command.env("ONGGI_TEST_CLI", "1");
        }
        command
    }

    /// Runs with `words`, `input` on stdin; the name of our test binary in the output becomes `docker`.
    fn run(&self, words: &[String], input: &str) -> Output {
        let mut command = self.command("timeout");
        command.arg("60").arg(&self.program).args(words);
        Self::finish(command, input)
    }

    /// The same on a terminal of 80 by 24, made by script(1). Each step waits for a text before it types.
    fn run_on_terminal(&self, line: &str, steps: &[(&str, &str)]) -> Output {
        let mut command = self.command("timeout");
        let line = format!("stty cols 80 rows 24; {} {line}", self.program);
        let mut child = command
            .args(["60", "script", "-qec", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        for (expected, typed) in steps {
            while !String::from_utf8_lossy(&seen).contains(expected) {
                match stdout.read(&mut buffer).unwrap() {
                    0 => break,
                    length => seen.extend_from_slice(&buffer[..length]),
                }
            }
            // A program that is gone does not read; the comparison tells.
            let _ = stdin.write_all(typed.as_bytes());
        }
        stdout.read_to_end(&mut seen).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        Output {
            stdout: seen,
            ..output
        }
    }

    fn finish(mut command: Command, input: &str) -> Output {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || {
            // A program that does not read its input is part of the test.
            let _ = stdin.write_all(input.as_bytes());
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }
}

/// Commands that change nothing: both look at the same daemon. Ages may change between the two, so a difference counts
/// when it stays.
fn queries([docker, ours]: &[Subject; 2], report: &mut Report) {
    for script in cases::SETUP {
        let output = docker.run(&split(script), "");
        assert!(output.status.success(), "{script}: {output:?}");
    }
    for line in QUERIES {
        let words = split(line);
        let mut last = String::new();
        for _ in 0..4 {
            let (theirs, got) = (docker.run(&words, ""), ours.run(&words, ""));
            last = difference(&theirs, &got, |text| text.to_owned());
            if last.is_empty() {
                break;
            }
        }
        report.compared += 1;
        if !last.is_empty() {
            report.differences.push(format!("{line}\n{last}"));
        }
    }
    for script in cases::TEARDOWN {
        docker.run(&split(script), "");
    }
}

/// Sequences that change something: each program runs the whole of each; ids and addresses are made the same.
fn scripts(subjects: &[Subject; 2], report: &mut Report) {
    for (number, script) in SCRIPTS.iter().enumerate() {
        let [theirs, got] = subjects.each_ref().map(|subject| {
            let mut outputs = Vec::new();
            // Each has names of its own: what one removes may linger while the other makes it anew.
            let name = format!("script{number}-{}", if subject.ours { "b" } else { "a" });
            for (line, input) in *script {
                let line = line.replace("NAME", &name);
                outputs.push((line.clone(), subject.run(&split(&line), input)));
            }
            outputs
        });
        for ((line, theirs), (_, got)) in theirs.iter().zip(&got) {
            report.compared += 1;
            let text = difference(theirs, got, |text| normal(text).replace("-b", "-a"));
            if !text.is_empty() {
                report.differences.push(format!("{line}\n{text}"));
            }
        }
    }
}

/// Sequences that need no daemon, each with a home of its own and without `DOCKER_HOST`.
fn clients(subjects: &[Subject; 2], report: &mut Report) {
    for (number, script) in cases::CLIENTS.iter().enumerate() {
        let [theirs, got] = subjects.each_ref().map(|subject| {
            let side = if subject.ours { "b" } else { "a" };
            let home = format!("{}-{number}-{side}", subject.home);
            std::fs::create_dir_all(&home).unwrap();
            let run = |line: &str| {
                let (line, variables) = cases::variables(line);
                let mut command = subject.command("timeout");
                command
                    .env("HOME", &home)
                    .env_remove("DOCKER_HOST")
                    .envs(variables)
                    .current_dir(&home)
                    .args(["60", &subject.program])
                    .args(split(line));
                (Subject::finish(command, ""), home.clone())
            };
            script.iter().map(|line| run(line)).collect::<Vec<_>>()
        });
        for ((line, (theirs, home)), (got, other)) in script.iter().zip(&theirs).zip(&got) {
            report.compared += 1;
            // The usual socket is another one, and with it the widths of tables.
            let text = difference(theirs, got, |text| {
                let text = text
                    .replace(home, "HOME")
                    .replace(other, "HOME")
                    .replace("/var/run/docker.sock", "/run/onggi/onggi.sock");
                text.split(' ')
                    .filter(|word| !word.is_empty())
                    .collect::<Vec<_>>()
                    .join(" ")
            });
            if !text.is_empty() {
                report.differences.push(format!("{line}\n{text}"));
            }
        }
    }
}

/// Commands on a terminal.
fn terminal(subjects: &[Subject; 2], report: &mut Report) {
    if Command::new("script").arg("--version").output().is_err() {
        println!("skipped: the cases on a terminal: no script(1) here");
        return;
    }
    for (line, steps) in TERMINAL {
        let [theirs, got] = subjects.each_ref().map(|subject| {
            let name = if subject.ours {
                "terminal-b"
            } else {
                "terminal-a"
            };
            subject.run_on_terminal(&line.replace("NAME", name), steps)
        });
        report.compared += 1;
        let text = difference(&theirs, &got, |text| normal(text).replace("-b", "-a"));
        if !text.is_empty() {
            report
                .differences
                .push(format!("on a terminal: {line}\n{text}"));
        }
    }
}

fn difference(theirs: &Output, ours: &Output, normal: impl Fn(&str) -> String) -> String {
    let text = |bytes: &[u8]| normal(&String::from_utf8_lossy(bytes));
    let mut out = String::new();
    if theirs.status.code() != ours.status.code() {
        out.push_str(&format!(
            "  exit code: docker {:?}, we {:?}\n",
            theirs.status.code(),
            ours.status.code()
        ));
    }
    for (name, a, b) in [
        ("stdout", &theirs.stdout, &ours.stdout),
        ("stderr", &theirs.stderr, &ours.stderr),
    ] {
        let (a, b) = (text(a), text(b));
        if a != b {
            out.push_str(&format!("  {name}: docker {a:?}\n  {name}:     we {b:?}\n"));
        }
    }
    out
}

/// A text with ids, times and addresses replaced by what they are.
fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        let hex = word
            .chars()
            .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        match word.len() {
            64 if hex => out.push_str("ID"),
            12 if hex => out.push_str("SHORT"),
            _ => out.push_str(&word),
        }
        word.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

/// Words of a line: quotes as in a shell, nothing else.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, ' ') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
