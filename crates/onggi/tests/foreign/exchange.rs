//! Images on their way between clients and registries of different makers: Docker's command line and ours on our daemon,
//! skopeo, podman and buildah; Debian's registry and ours, by TLS and with a password.

use anyhow::{Context, Result, bail, ensure};
use onggi_testkit::{
    Client, Daemon, DaemonOptions, HTPASSWD, Image, LOGIN, Namespace, OnggiRegistry, Output,
    Process, Registry, Subject, digest,
};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An address that is not this machine's own: certificates count.
const HOST: &str = "192.0.2.1";
/// One whose registry nobody vouches for.
const STRANGER: &str = "192.0.2.2";
const PORT: u16 = 5000;

/// Everybody who takes part.
struct Fair<'a> {
    daemon: &'a Daemon,
    folder: &'a Path,
    docker: PathBuf,
}

#[test]
fn with_debians_registry() -> Result<()> {
    fair(|namespace, folder| {
        let (certificate, key) = (folder.join("ca.crt"), folder.join("key.pem"));
        let registry = Registry::start_secure(namespace, PORT, &certificate, &key)?;
        hold(namespace, folder)?;
        drop(registry);
        Ok(())
    })
}

#[test]
fn with_our_registry() -> Result<()> {
    fair(|namespace, folder| {
        fs::write(folder.join("htpasswd"), HTPASSWD)?;
        let keys = json!({
            "listen": [format!("tcp://0.0.0.0:{PORT}")],
            "tls": {"certificate": folder.join("ca.crt"), "key": folder.join("key.pem")},
            "auth": {"htpasswd": folder.join("htpasswd")},
        });
        let registry = OnggiRegistry::start(namespace, PORT, &keys)?;
        // The daemon's end is that of everything in the namespace.
        hold(namespace, folder).with_context(|| registry.log())
    })
}

/// A place with an address and a certificate, or why not.
fn fair(hold: impl FnOnce(&Namespace, &Path) -> Result<()>) -> Result<()> {
    let programs = [
        "skopeo",
        "podman",
        "buildah",
        "openssl",
        "docker-registry",
        "ip",
    ];
    for program in programs {
        let found = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        });
        if !found {
            eprintln!("skipped: {program} is not installed");
            return Ok(());
        }
    }
    if crate::docker().is_none() {
        eprintln!("skipped: no docker CLI is installed");
        return Ok(());
    }
    let namespace = Namespace::new()?;
    for address in [HOST, STRANGER] {
        let address = format!("{address}/32");
        let mut command = Command::new("ip");
        command.args(["address", "add", &address, "dev", "lo"]);
        done(&namespace, &mut command)?;
    }
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    command.args(["-nodes", "-days", "2", "-subj", "/CN=registry", "-addext"]);
    command.arg(format!("subjectAltName=IP:{HOST}"));
    command.arg("-keyout").arg(at.join("key.pem"));
    command.arg("-out").arg(at.join("ca.crt"));
    done(&namespace, &mut command)?;
    let certificates = at.join("etc/certs.d").join(format!("{HOST}:{PORT}"));
    fs::create_dir_all(&certificates)?;
    fs::copy(at.join("ca.crt"), certificates.join("ca.crt"))?;
    let policy = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
    fs::write(at.join("policy.json"), policy)?;
    // Who looks for logins finds none here.
    fs::write(at.join("auth.json"), "{}")?;
    helper(at)?;
    hold(&namespace, at)
}

/// A helper that keeps one login, in a file where a test can look.
fn helper(at: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let script = "#!/bin/sh\ncase $1 in\nstore) cat > \"$KEPT\" ;;\nerase) rm -f \"$KEPT\" ;;\nget) cat \"$KEPT\" \
         2>/dev/null || { echo credentials not found in native keychain; exit 1; } ;;\nesac\n";
    fs::create_dir(at.join("bin"))?;
    let path = at.join("bin/docker-credential-shelf");
    fs::write(&path, script)?;
    Ok(fs::set_permissions(
        &path,
        fs::Permissions::from_mode(0o755),
    )?)
}

/// Runs a program to its end.
fn run(namespace: &Namespace, command: &mut Command, input: &str) -> Result<Output> {
    let mut process = Process::start(namespace, command)?;
    process.feed(input.as_bytes().to_vec())?;
    process.wait().with_context(|| format!("{command:?}"))
}

/// Runs a program that has to succeed; what it printed.
fn done(namespace: &Namespace, command: &mut Command) -> Result<String> {
    let output = run(namespace, command, "")?;
    let said = output.ok().map(str::to_owned);
    said.with_context(|| format!("{command:?}"))
}

fn hold(namespace: &Namespace, folder: &Path) -> Result<()> {
    let daemon = Daemon::start_with(DaemonOptions {
        subject: Some(Subject::Onggi),
        client: Some(Client::Onggi),
        namespace: Some(namespace.try_clone()?),
        arguments: vec![format!(
            "--registry-config-dir={}",
            folder.join("etc").display()
        )],
        ..DaemonOptions::default()
    })?;
    let Some(Client::Docker(docker)) = crate::docker() else {
        bail!("no docker CLI");
    };
    let fair = Fair {
        daemon: &daemon,
        folder,
        docker,
    };
    fair.who_may()?;
    fair.to_and_fro()?;
    fair.by_the_socket()?;
    fair.lists_are_shared()?;
    daemon.clean()
}

fn name(image: &str) -> String {
    format!("{HOST}:{PORT}/team/{image}")
}

impl Fair<'_> {
    /// A command line on our daemon, with a helper for its logins.
    fn cli(&self, docker: bool, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = self.daemon.cli_command(arguments)?;
        let who = if docker { "docker" } else { "onggi" };
        if docker {
            let ours = command;
            command = Command::new(&self.docker);
            command.args(arguments);
            for (key, value) in ours.get_envs() {
                match value {
                    Some(value) => command.env(key, value),
                    None => command.env_remove(key),
                };
            }
        }
        let path = std::env::var("PATH")?;
        let config = self.folder.join(who);
        fs::create_dir_all(&config)?;
        if !config.join("config.json").exists() {
            fs::write(config.join("config.json"), r#"{"credsStore": "shelf"}"#)?;
        }
        command
            .env("DOCKER_CONFIG", config)
            .env("KEPT", self.folder.join(format!("{who}.kept")))
            .env(
                "PATH",
                format!("{}:{path}", self.folder.join("bin").display()),
            );
        run(self.daemon.namespace(), &mut command, input)
    }

    fn ok(&self, docker: bool, arguments: &[&str]) -> Result<String> {
        let output = self.cli(docker, arguments, "")?;
        let said = output.ok().map(str::to_owned);
        said.with_context(|| format!("docker: {docker}, {arguments:?}"))
    }

    /// skopeo, podman or buildah.
    fn other(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let mut command = Command::new(program);
        command
            .env("HOME", self.folder)
            .env("REGISTRY_AUTH_FILE", at("auth.json"));
        if program != "skopeo" {
            command.args([
                "--storage-driver",
                "vfs",
                "--root",
                &at("root"),
                "--runroot",
                &at("runroot"),
            ]);
        }
        if program == "podman" {
            command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
            command.args(["--tmpdir", &at("tmpdir")]);
        }
        command.args(arguments);
        done(self.daemon.namespace(), &mut command)
    }

    /// The digest of what the registry has under a name.
    fn digest(&self, image: &str) -> Result<String> {
        let certs = self.certs();
        let mut command = Command::new("skopeo");
        let login = format!("{}:{}", LOGIN.0, LOGIN.1);
        let place = format!("docker://{}", name(image));
        command.args([
            "inspect",
            "--raw",
            "--creds",
            &login,
            "--cert-dir",
            &certs,
            &place,
        ]);
        let output = run(self.daemon.namespace(), &mut command, "")?;
        output.ok()?;
        Ok(digest(output.stdout.as_bytes()))
    }

    fn certs(&self) -> String {
        let folder = self
            .folder
            .join("etc/certs.d")
            .join(format!("{HOST}:{PORT}"));
        folder.display().to_string()
    }

    fn id(&self, docker: bool, image: &str) -> Result<String> {
        self.ok(docker, &["image", "inspect", "-f", "{{.Id}}", &name(image)])
    }

    /// Nobody gets in but by the password, whose place is the helper; unknown certificates are refused.
    fn who_may(&self) -> Result<()> {
        self.daemon.load(&Image::busybox()?, &[&name("app:v1")])?;
        let server = format!("{HOST}:{PORT}");
        let (user, password) = LOGIN;
        for docker in [false, true] {
            let refused = |arguments: &[&str], text: &str| -> Result<()> {
                let output = self.cli(docker, arguments, "")?;
                let last = output.stderr.trim_end().lines().last().unwrap_or_default();
                ensure!(
                    output.code == 1 && last == text,
                    "{arguments:?}: {output:?}"
                );
                Ok(())
            };
            refused(&["push", &name("app:v1")], "no basic auth credentials")?;
            refused(
                &["pull", &name("app:v1")],
                &format!(
                    "Error response from daemon: Head \"https://{server}/v2/team/app/manifests/v1\": no basic auth credentials"
                ),
            )?;
            let stranger = format!("{STRANGER}:{PORT}");
            refused(
                &["pull", &format!("{stranger}/team/app:v1")],
                &format!(
                    "Error response from daemon: Get \"https://{stranger}/v2/\": tls: failed to verify certificate: \
                     x509: certificate signed by unknown authority"
                ),
            )?;
            let login = ["login", "-u", user, "--password-stdin", &server];
            let wrong = self.cli(docker, &login, "guess\n")?;
            let text = format!(
                "Error response from daemon: login attempt to https://{server}/v2/ failed with status: 401 Unauthorized\n"
            );
            ensure!(wrong.code == 1 && wrong.stderr == text, "{wrong:?}");
            let good = self.cli(docker, &login, &format!("{password}\n"))?;
            ensure!(
                good.ok()?.ends_with("Login Succeeded") && !good.stderr.contains("unencrypted"),
                "{good:?}"
            );
            let who = if docker { "docker" } else { "onggi" };
            let kept = fs::read_to_string(self.folder.join(who).join("config.json"))?;
            // Neither as it is, nor as the usual base64 of me:secret.
            ensure!(
                kept.contains(&server)
                    && !kept.contains(password)
                    && !kept.contains("bWU6c2VjcmV0"),
                "{kept}"
            );
            let shelf = fs::read_to_string(self.folder.join(format!("{who}.kept")))?;
            ensure!(shelf.contains(password), "{shelf}");
        }
        Ok(())
    }

    /// Each pushes what another pulled.
    fn to_and_fro(&self) -> Result<()> {
        let id = self.id(false, "app:v1")?;
        let pushed = self.ok(false, &["push", &name("app:v1")])?;
        let first = self.digest("app:v1")?;
        ensure!(
            pushed.contains(&format!("v1: digest: {first} size: ")),
            "{pushed}"
        );
        // Docker's command line, then ours: pulled, and pushed under another name.
        for (docker, from, to) in [
            (true, "app:v1", "docker:v1"),
            (false, "docker:v1", "onggi:v1"),
        ] {
            self.ok(docker, &["rmi", "-f", &id])?;
            let pulled = self.ok(docker, &["pull", &name(from)])?;
            ensure!(pulled.contains(&format!("Digest: {first}\n")), "{pulled}");
            self.ok(docker, &["tag", &name(from), &name(to)])?;
            self.ok(docker, &["push", &name(to)])?;
            ensure!(self.digest(to)? == first, "{to}");
        }
        let login = format!("{}:{}", LOGIN.0, LOGIN.1);
        let certs = self.certs();
        let place = |image: &str| format!("docker://{}", name(image));
        let copy = [
            "--insecure-policy",
            "copy",
            "-q",
            "--src-creds",
            &login,
            "--dest-creds",
            &login,
        ];
        let certificates = ["--src-cert-dir", &certs, "--dest-cert-dir", &certs];
        let (source, target) = (place("onggi:v1"), place("skopeo:v1"));
        let ways = [&*source, &*target];
        self.other("skopeo", &[&copy[..], &certificates, &ways].concat())?;
        ensure!(self.digest("skopeo:v1")? == first);
        // These keep layers unpacked and write manifests anew; the image is the same all the same.
        let policy = self.folder.join("policy.json").display().to_string();
        let common = [
            "--creds",
            &*login,
            "--cert-dir",
            &certs,
            "--signature-policy",
            &policy,
        ];
        let mut from = "skopeo:v1";
        for (program, to) in [("podman", "podman:v1"), ("buildah", "buildah:v1")] {
            let (source, target, known) = (place(from), place(to), name(from));
            let pull = [&["pull", "-q"], &common[..], &[&*source]].concat();
            let pulled = self.other(program, &pull)?;
            ensure!(
                pulled.trim() == id.trim_start_matches("sha256:"),
                "{program}: {pulled}"
            );
            let push = [&["push", "-q"], &common[..], &[&*known, &*target]].concat();
            self.other(program, &push)?;
            for docker in [true, false] {
                self.ok(docker, &["rmi", "-f", &id])?;
                self.ok(docker, &["pull", &name(to)])?;
                ensure!(self.id(docker, to)? == id, "{program}");
            }
            from = to;
        }
        let said = self.ok(
            false,
            &["run", "--rm", &name("buildah:v1"), "echo", "whole"],
        )?;
        ensure!(said == "whole", "{said}");
        Ok(())
    }

    /// skopeo takes images from our daemon and gives it some.
    fn by_the_socket(&self) -> Result<()> {
        let id = self.id(false, "buildah:v1")?;
        let socket = self.daemon.host();
        let folder = format!("dir:{}", self.folder.join("taken").display());
        let image = format!("docker-daemon:{}", name("buildah:v1"));
        let copy = ["--insecure-policy", "copy", "-q"];
        let take = ["--src-daemon-host", &socket, &image, &folder];
        self.other("skopeo", &[&copy[..], &take].concat())?;
        let give = [
            "--dest-daemon-host",
            &socket,
            &folder,
            "docker-daemon:given:v1",
        ];
        self.other("skopeo", &[&copy[..], &give].concat())?;
        let given = self.ok(true, &["image", "inspect", "-f", "{{.Id}}", "given:v1"])?;
        ensure!(given == id, "{given} is not {id}");
        let said = self.ok(true, &["run", "--rm", "given:v1", "echo", "whole"])?;
        ensure!(said == "whole", "{said}");
        Ok(())
    }

    /// A list that one command line begins, the other goes on with: their files are the same.
    fn lists_are_shared(&self) -> Result<()> {
        // Both look for authorities where the machine has them; here nobody vouches for the registry.
        let list = name("all:v1");
        let shared = |docker: bool, arguments: &[&str]| -> Result<Output> {
            let (from, to) = match docker {
                true => ("onggi", "docker"),
                false => ("docker", "onggi"),
            };
            let path = |who: &str| self.folder.join(who).join("manifests");
            if path(from).exists() {
                fs::rename(path(from), path(to))?;
            }
            self.cli(docker, &[&["manifest"], arguments].concat(), "")
        };
        let image = name("app:v1");
        shared(true, &["create", "--insecure", &list, &image])?.ok()?;
        shared(false, &["annotate", &list, &image, "--variant", "v1"])?.ok()?;
        let (theirs, ours) = (
            shared(true, &["inspect", &list])?,
            shared(false, &["inspect", &list])?,
        );
        ensure!(
            theirs == ours && ours.ok()?.contains("\"v1\""),
            "{theirs:?} {ours:?}"
        );
        let verbose = ["inspect", "--verbose", &list];
        ensure!(shared(true, &verbose)? == shared(false, &verbose)?);
        let pushed = shared(false, &["push", "--insecure", "--purge", &list])?;
        let last = pushed.ok()?.lines().last().unwrap_or_default().to_owned();
        ensure!(self.digest("all:v1")? == last, "{pushed:?}");
        let gone = shared(true, &["rm", &list])?;
        ensure!(
            gone.stderr == format!("No such manifest: {list}\n"),
            "{gone:?}"
        );
        Ok(())
    }
}
