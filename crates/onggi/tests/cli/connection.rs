//! Ways to the daemon: TLS, ssh, contexts, and connections without HTTP.

use crate::script;
use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, Process};
use std::path::Path;
use std::process::Command;

fn openssl(folder: &Path, arguments: &str) -> Result<()> {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

/// `ca.pem`, and a certificate for server and client both, as `NAME.pem` and `NAME-key.pem`.
fn certificates(folder: &Path) -> Result<()> {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    std::fs::write(folder.join("san"), "subjectAltName=IP:127.0.0.1\n")?;
    openssl(
        folder,
        &format!("req -x509 {KEY} -days 2 -subj /CN=ca -keyout ca-key.pem -out ca.pem"),
    )?;
    for name in ["server", "client"] {
        openssl(
            folder,
            &format!("req {KEY} -subj /CN={name} -keyout {name}-key.pem -out {name}.csr"),
        )?;
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile san -out {name}.pem"
            ),
        )?;
    }
    Ok(())
}

#[test]
fn tls_is_spoken_by_flags_by_environment_and_by_context() -> Result<()> {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: openssl is not installed");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    certificates(folder.path())?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let options =
        |pairs: [(&str, &str); 3]| pairs.map(|(flag, name)| format!("--{flag}={}", file(name)));
    let mut arguments: Vec<String> = ["-H", "tcp://127.0.0.1:2376", "--tlsverify"]
        .map(str::to_owned)
        .into();
    arguments.extend(options([
        ("tlscacert", "ca.pem"),
        ("tlscert", "server.pem"),
        ("tlskey", "server-key.pem"),
    ]));
    let daemon = Daemon::start_with(DaemonOptions {
        arguments,
        ..DaemonOptions::default()
    })?;
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = daemon.cli_command(arguments)?;
        command
            .env_remove("DOCKER_HOST")
            .envs(variables.iter().copied());
        Process::start(daemon.namespace(), &mut command)?.wait()
    };
    let host = "tcp://127.0.0.1:2376";
    let format = "{{.Server.Os}}";
    // By flags.
    let [ca, cert, key] = options([
        ("tlscacert", "ca.pem"),
        ("tlscert", "client.pem"),
        ("tlskey", "client-key.pem"),
    ]);
    let words = [
        "-H",
        host,
        "--tlsverify",
        &ca,
        &cert,
        &key,
        "version",
        "-f",
        format,
    ];
    ensure!(run(&words, &[])?.ok()? == "linux");
    // Without verifying the daemon, but still known to it.
    let words = [
        "-H", host, "--tls", &ca, &cert, &key, "version", "-f", format,
    ];
    ensure!(run(&words, &[])?.ok()? == "linux");
    // By environment.
    let folder = tempfile::tempdir()?;
    for (from, to) in [
        ("ca.pem", "ca.pem"),
        ("client.pem", "cert.pem"),
        ("client-key.pem", "key.pem"),
    ] {
        std::fs::copy(file(from), folder.path().join(to))?;
    }
    let path = folder.path().display().to_string();
    let variables = [
        ("DOCKER_HOST", host),
        ("DOCKER_TLS_VERIFY", "1"),
        ("DOCKER_CERT_PATH", &path),
    ];
    ensure!(run(&["version", "-f", format], &variables)?.ok()? == "linux");
    // By context, which keeps copies.
    let endpoint = format!("host={host},ca={path}/ca.pem,cert={path}/cert.pem,key={path}/key.pem");
    run(&["context", "create", "far", "--docker", &endpoint], &[])?.ok()?;
    drop(folder);
    run(&["context", "use", "far"], &[])?.ok()?;
    ensure!(run(&["version", "-f", format], &[])?.ok()? == "linux");
    // Who has no certificate, and who speaks without TLS, learns nothing.
    for words in [
        &["-H", host, "--tlsverify", &ca, "version", "-f", format][..],
        &["-H", host, "version", "-f", format],
    ] {
        let output = run(words, &[])?;
        ensure!(
            output.code == 1 && !output.stdout.contains("linux"),
            "{output:?}"
        );
    }
    daemon.clean()
}

#[test]
fn ssh_carries_the_api_attached_streams_and_errors() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    // An ssh of our own: what comes after the host is for the shell there.
    let bin = daemon.path("bin");
    script(
        &bin.join("ssh"),
        r#"case "$*" in *nowhere*) echo "ssh: no route to nowhere" >&2; exit 255;; esac
while [ "$1" != -- ]; do shift; done
shift 2
exec sh -c "$*""#,
    )?;
    let program = daemon.cli_command(&[])?.get_program().to_owned();
    std::os::unix::fs::symlink(program, bin.join("docker"))?;
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let run = |host: &str, arguments: &[&str], input: &[u8]| {
        let mut command = daemon.cli_command(arguments)?;
        command.env("DOCKER_HOST", host).env("PATH", &path);
        let mut process = Process::start(daemon.namespace(), &mut command)?;
        process.feed(input.to_vec())?;
        process.wait()
    };
    let host = format!("ssh://somebody@far:2222{}", daemon.socket().display());
    ensure!(run(&host, &["ps", "-q"], b"")?.ok()?.is_empty());
    let output = run(
        &host,
        &["run", "--rm", "-i", "busybox", "sh", "-c", "cat; exit 3"],
        b"hello",
    )?;
    ensure!(output.code == 3 && output.stdout == "hello", "{output:?}");
    let output = run("ssh://nowhere", &["ps"], b"")?;
    ensure!(
        output.code == 1
            && output.stderr.contains("exit status 255")
            && output.stderr.contains("stderr=ssh: no route to nowhere"),
        "{output:?}"
    );
    daemon.clean()
}

#[test]
fn dial_stdio_is_a_plain_connection() -> Result<()> {
    let daemon = Daemon::start()?;
    let request = b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let output = daemon.cli_with_input(&["system", "dial-stdio"], request)?;
    ensure!(
        output.code == 0
            && output.stdout.starts_with("HTTP/1.1 200 OK")
            && output.stdout.ends_with("OK"),
        "{output:?}"
    );
    daemon.clean()
}

#[test]
fn contexts_lead_to_their_daemons() -> Result<()> {
    let daemon = Daemon::start()?;
    let run = |arguments: &[&str]| {
        let mut command = daemon.cli_command(arguments)?;
        command.env_remove("DOCKER_HOST");
        Process::start(daemon.namespace(), &mut command)?.wait()
    };
    let endpoint = format!("host={}", daemon.host());
    run(&["context", "create", "here", "--docker", &endpoint])?.ok()?;
    ensure!(run(&["--context", "here", "ps", "-q"])?.ok()?.is_empty());
    run(&["context", "use", "here"])?.ok()?;
    ensure!(run(&["info", "-f", "{{.ClientInfo.Context}}"])?.ok()? == "here");
    // DOCKER_HOST wins over the context in use.
    let output = daemon.cli(&["context", "show"])?;
    ensure!(output.ok()? == "default", "{output:?}");
    run(&["context", "rm", "-f", "here"])?.ok()?;
    ensure!(run(&["context", "show"])?.ok()? == "default");
    daemon.clean()
}
