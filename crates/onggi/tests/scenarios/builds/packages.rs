//! S17: Dockerfiles of users, byte for byte, with packages that are fetched and installed inside. What stands for their
//! base images is Debian with this machine's node; `apk` there maps to apt.

use super::write;
use crate::scene::{Cli, Scene, docker, folder, words};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Client, Daemon, DaemonOptions, Outside};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `apk` for what the files ask of it: names of Alpine's packages become Debian's.
const APK: &str = r#"#!/bin/sh
set -e
export DEBIAN_FRONTEND=noninteractive
while case "$1" in -*) true;; *) false;; esac; do shift; done
verb=$1; shift
packages=
while [ $# -gt 0 ]; do
  case "$1" in
    --virtual|-t) shift;;
    -*) ;;
    build-base) packages="$packages make";;
    g++) packages="$packages make";;
    python|python2) packages="$packages python3-minimal";;
    *) packages="$packages $1";;
  esac
  shift
done
case "$verb" in
  update) apt-get update -q;;
  upgrade) true;;
  add) [ -n "$(ls /var/lib/apt/lists | head -n 1)" ] || apt-get update -q
       apt-get install -q -y --no-install-recommends $packages;;
  *) echo "apk: $verb is not known to the stand-in" >&2; exit 1;;
esac
"#;

/// `yarn` for what the file asks of it.
const YARN: &str = "#!/bin/sh\nexec npm install --omit=dev --no-audit --no-fund\n";

/// Nothing outside Debian is fetched for them.
const NODE: &str = "\
FROM debian:bookworm
COPY node /usr/bin/node
COPY npm /usr/lib/node_modules/npm
COPY apk yarn /usr/local/bin/
COPY ca-certificates.crt /usr/local/share/
RUN chmod 755 /usr/local/bin/apk /usr/local/bin/yarn && ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/bin/npm
RUN apt-get update && apt-get install -y --no-install-recommends libstdc++6 ca-certificates
ENV NODE_EXTRA_CA_CERTS=/usr/local/share/ca-certificates.crt
CMD [\"node\"]
";
pub(crate) const PYTHON: &str = "\
FROM debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip ca-certificates
RUN ln -s python3 /usr/bin/python && rm /usr/lib/python3.*/EXTERNALLY-MANAGED
COPY ca-certificates.crt /usr/local/share/
ENV PIP_CERT=/usr/local/share/ca-certificates.crt
CMD [\"python3\"]
";
const NGINX: &str = "\
FROM debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends nginx-light
RUN mkdir -p /usr/share/nginx/html
";

/// What users have, and what comes of it.
struct User {
    name: &'static str,
    /// Under which it is kept.
    file: &'static str,
    dockerfile: &'static str,
    base: &'static [&'static str],
    files: &'static [(&'static str, &'static str)],
    /// A command in the image, none for its own, and what it prints.
    command: &'static str,
    text: &'static str,
}

const USERS: &[User] = &[
    User {
        name: "node-app",
        file: "Dockerfile",
        dockerfile: include_str!("users/node-app/Dockerfile"),
        base: &["node:14"],
        files: &[
            (
                ".dockerignore",
                include_str!("users/node-app/.dockerignore"),
            ),
            (
                "package.json",
                r#"{"name": "app", "version": "1.0.0", "scripts": {"start": "node index.js"}, "dependencies": {"is-odd": "3.0.1"}}"#,
            ),
            ("index.js", "console.log('odd', require('is-odd')(3));\n"),
            (
                "node_modules/is-odd/index.js",
                "throw new Error('of the host');\n",
            ),
        ],
        command: "",
        text: "odd true",
    },
    User {
        name: "flask-postgres",
        file: "Dockerfile",
        dockerfile: include_str!("users/flask-postgres/Dockerfile"),
        base: &["python:3.9"],
        files: &[
            ("requirements.txt", "flask==3.0.3\npsycopg2-binary==2.9.9\n"),
            (
                "app.py",
                "import flask, psycopg2\napp = flask.Flask('x')\nprint(app.name, psycopg2.apilevel)\n",
            ),
        ],
        command: "",
        text: "x 2.0",
    },
    User {
        name: "nest-app",
        file: "Dockerfile",
        dockerfile: include_str!("users/nest-app/Dockerfile"),
        base: &["node:10.19-alpine"],
        files: &[
            (".env", "GREETING=hello\n"),
            (
                "package.json",
                r#"{"name": "app", "version": "1.0.0", "scripts": {"build": "mkdir -p dist && cp src/main.js dist/main.js"}, "dependencies": {"rxjs": "7.8.1"}}"#,
            ),
            (
                "src/main.js",
                "require('rxjs').of('streams').subscribe((x) => console.log(x, process.cwd()));\n",
            ),
        ],
        command: "",
        text: "streams /app",
    },
    User {
        name: "nginx-ubuntu",
        file: "Dockerfile",
        dockerfile: include_str!("users/nginx-ubuntu/Dockerfile"),
        base: &["ubuntu"],
        files: &[],
        command: "sh -c 'tail -n 1 nginx.conf; pwd; stat -c %U /var/lib/nginx'",
        text: "daemon off;\n/etc/nginx\nwww-data",
    },
    User {
        name: "getting-started",
        file: "Dockerfile",
        dockerfile: include_str!("users/getting-started/Dockerfile"),
        base: &["node:16-alpine"],
        files: &[
            (
                "package.json",
                r#"{"name": "app", "version": "1.0.0", "dependencies": {"uuid": "9.0.1"}}"#,
            ),
            ("src/index.js", "console.log(require('uuid').NIL);\n"),
        ],
        command: "",
        text: "00000000-0000-0000-0000-000000000000",
    },
    User {
        name: "react-multistage",
        file: "dockerfile.prod",
        dockerfile: include_str!("users/react-multistage/dockerfile.prod"),
        base: &["node:14-alpine", "nginx:stable-alpine"],
        files: &[
            (
                "package.json",
                r#"{"name": "app", "version": "1.0.0", "scripts": {"build": "node build.js"}, "dependencies": {"react": "18.3.1", "react-dom": "18.3.1"}}"#,
            ),
            (
                "build.js",
                "const {createElement} = require('react');\nconst {renderToStaticMarkup} = require('react-dom/server');\n\
                 require('fs').mkdirSync('build');\n\
                 require('fs').writeFileSync('build/index.html', renderToStaticMarkup(createElement('p', null, 'a page')));\n",
            ),
        ],
        command: "cat /usr/share/nginx/html/index.html",
        text: "<p>a page</p>",
    },
];

/// Debian's smallest root as a tar, made once for all tests that need it.
pub(crate) fn debian() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let tar = folder.join("bookworm.tar");
    if tar.exists() {
        return Ok(tar);
    }
    fs::create_dir_all(folder)?;
    let work = tempfile::tempdir_in(folder)?;
    let (root, unfinished) = (work.path().join("root"), work.path().join("tar"));
    let mut bootstrap = Command::new("debootstrap");
    bootstrap.args(["--variant=minbase", "bookworm"]).arg(&root);
    let mut pack = Command::new("tar");
    pack.arg("-cf")
        .arg(&unfinished)
        .arg("-C")
        .arg(&root)
        .arg(".");
    for mut command in [bootstrap, pack] {
        let output = command.output().with_context(|| format!("{command:?}"))?;
        ensure!(output.status.success(), "{command:?}: {output:?}");
    }
    fs::rename(unfinished, &tar)?;
    Ok(tar)
}

/// Types a build that has to succeed, and waits as long as registries and package managers take.
pub(crate) fn built(scene: &Scene, line: &str) -> Result<()> {
    let words = words(&format!("build {line}"))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = scene.daemon.cli_command(&words)?;
    command
        .env("DOCKER_BUILDKIT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = scene
        .daemon
        .namespace()
        .spawn(&mut command)?
        .wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{line}: {text}{error}");
    Ok(())
}

/// Builds what stands for the images that users name.
fn stand_ins(scene: &Scene) -> Result<()> {
    let tar = debian()?;
    scene.ok(&format!("import {} debian:bookworm", tar.display()))?;
    let here = folder(scene, "stand-ins")?;
    write(&here, &[("apk", APK), ("yarn", YARN)])?;
    fs::copy(
        "/etc/ssl/certs/ca-certificates.crt",
        here.join("ca-certificates.crt"),
    )?;
    fs::copy(fs::canonicalize("/usr/bin/node")?, here.join("node"))?;
    let npm = fs::canonicalize("/usr/bin/npm")?;
    let npm = npm.ancestors().nth(2).context("the folder of npm")?;
    let copied = Command::new("cp")
        .arg("-r")
        .arg(npm)
        .arg(here.join("npm"))
        .output()?;
    ensure!(copied.status.success(), "{copied:?}");
    for (name, dockerfile) in [
        ("node", NODE),
        ("python:3.9", PYTHON),
        ("nginx:stable-alpine", NGINX),
    ] {
        write(&here, &[("Dockerfile", dockerfile)])?;
        built(scene, &format!("-t {name} {}", here.display()))?;
    }
    for name in [
        "node:14",
        "node:16-alpine",
        "node:14-alpine",
        "node:10.19-alpine",
    ] {
        scene.ok(&format!("tag node {name}"))?;
    }
    scene.ok("tag debian:bookworm ubuntu").map(drop)
}

#[test]
fn files_of_users_install_their_packages() -> Result<()> {
    if std::env::var_os("ONGGI_FULL").is_none() {
        eprintln!("skipped: ONGGI_FULL is not set, and this needs registries of packages");
        return Ok(());
    }
    let outside = Outside::new()?;
    let daemon = Daemon::start_with(DaemonOptions {
        client: Some(Client::Onggi),
        namespace: Some(outside.namespace().try_clone()?),
        ..DaemonOptions::default()
    })?;
    let mut scene = Scene {
        daemon,
        cli: Cli::Onggi,
    };
    stand_ins(&scene)?;
    let clients = [Some(Client::Onggi), docker().map(Client::Docker)];
    for client in clients.into_iter().flatten() {
        scene.cli = match client {
            Client::Onggi => Cli::Onggi,
            Client::Docker(_) => Cli::Docker,
        };
        scene.daemon.type_with(client);
        for user in USERS {
            for base in user.base {
                scene.ok(&format!("image inspect {base}"))?;
            }
            let tag = match scene.cli {
                Cli::Onggi => "ours",
                Cli::Docker => "theirs",
            };
            let here = folder(&scene, &format!("{tag}-{}", user.name))?;
            write(&here, user.files)?;
            write(&here, &[(user.file, user.dockerfile)])?;
            let at = here.display();
            let line = format!("-f {at}/{} -t {}:{tag} {at}", user.file, user.name);
            built(&scene, &line)?;
            let line = format!("run --rm {}:{tag} {}", user.name, user.command);
            let said = scene.ok(line.trim_end())?;
            ensure!(said.ends_with(user.text), "{}: {said}", user.name);
        }
    }
    scene.daemon.clean()
}
