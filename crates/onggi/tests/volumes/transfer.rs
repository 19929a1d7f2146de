//! `volume export`, `import` and `rename`, which Docker lacks.

use crate::{cli, daemon, is_dockerd, names, refuses, says};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Request, wait_until};
use rustix::fs::{FileType, Mode, XattrFlags, mknodat, setxattr};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

fn data(daemon: &Daemon, volume: &str) -> PathBuf {
    daemon.data_root().join(format!("volumes/{volume}/_data"))
}

/// Everything that files can be.
fn furnish(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("deep/er"))?;
    fs::set_permissions(root.join("deep"), fs::Permissions::from_mode(0o3770))?;
    fs::write(root.join("deep/er/file"), "content")?;
    fs::set_permissions(
        root.join("deep/er/file"),
        fs::Permissions::from_mode(0o4711),
    )?;
    chown(root.join("deep/er"), Some(1000), Some(70_000))?;
    fs::hard_link(root.join("deep/er/file"), root.join("second"))?;
    symlink("/nowhere/at all", root.join("link"))?;
    let attribute =
        |name: &str, value: &[u8]| setxattr(root.join("second"), name, value, XattrFlags::empty());
    attribute("user.note", b"a\0b\n")?;
    attribute(
        "security.capability",
        &[
            1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ],
    )?;
    setxattr(root, "user.root", b"yes", XattrFlags::empty())?;
    let sparse = fs::File::create(root.join("sparse"))?;
    sparse.set_len(64 << 20)?;
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 32 << 20)?;
    let at = rustix::fs::CWD;
    mknodat(at, root.join("fifo"), FileType::Fifo, Mode::RUSR, 0)?;
    let null = rustix::fs::makedev(1, 3);
    mknodat(
        at,
        root.join("null"),
        FileType::CharacterDevice,
        Mode::RUSR,
        null,
    )?;
    fs::write(root.join("f\u{151}tan\u{fa} \u{d55c}"), "beyond ASCII")?;
    fs::write(root.join(".wh.gone"), "a name like any other")?;
    fs::set_permissions(root, fs::Permissions::from_mode(0o1751))?;
    chown(root, Some(12), Some(13))?;
    Ok(())
}

/// Everything that can be seen of a tree, a line a name.
fn look(root: &Path) -> Result<String> {
    let mut lines = Vec::new();
    let mut waiting = vec![root.to_path_buf()];
    let mut firsts = std::collections::BTreeMap::new();
    while let Some(path) = waiting.pop() {
        let status = path.symlink_metadata()?;
        let mut content = String::new();
        if status.is_dir() {
            let mut entries = fs::read_dir(&path)?
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<Vec<_>>>()?;
            entries.sort();
            waiting.append(&mut entries);
        } else if status.is_symlink() {
            content = fs::read_link(&path)?.display().to_string();
        } else if status.is_file() {
            content = onggi_testkit::digest(&fs::read(&path)?);
        }
        let mut names = vec![0; 4096];
        let length = rustix::fs::llistxattr(&path, &mut names[..])?;
        let mut attributes = Vec::new();
        for name in names[..length].split(|b| *b == 0).filter(|n| !n.is_empty()) {
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(&path, name, &mut value[..])?;
            attributes.push((
                String::from_utf8_lossy(name).into_owned(),
                value[..length].to_vec(),
            ));
        }
        attributes.sort();
        let name = path.strip_prefix(root)?;
        let first = match status.is_dir() {
            true => name.to_path_buf(),
            false => firsts
                .entry(status.ino())
                .or_insert(name.to_path_buf())
                .clone(),
        };
        lines.push(format!(
            "{name:?} {:o} {}:{} {}.{:09} {} {first:?} {attributes:?} {content}",
            status.mode(),
            status.uid(),
            status.gid(),
            status.mtime(),
            status.mtime_nsec(),
            status.rdev(),
        ));
    }
    Ok(lines.join("\n"))
}

/// Whether two trees are the same.
fn same(found: &Path, expected: &str) -> Result<()> {
    let found_lines = look(found)?;
    ensure!(
        found_lines == expected,
        "{}:\n{found_lines}\ninstead of\n{expected}",
        found.display()
    );
    Ok(())
}

fn export(daemon: &Daemon, volume: &str) -> Result<PathBuf> {
    let tar = daemon.path(&format!("{volume}.tar"));
    let output = tar.to_str().context("a path")?;
    cli(daemon, &["volume", "export", "-o", output, volume])?;
    Ok(tar)
}

#[test]
fn everything_comes_back() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "it has no export of volumes") {
        return Ok(());
    }
    cli(&daemon, &["volume", "create", "one"])?;
    furnish(&data(&daemon, "one"))?;
    let before = look(&data(&daemon, "one"))?;
    let tar = export(&daemon, "one")?;
    // The hole did not become zeros.
    ensure!(tar.metadata()?.len() < 1 << 20, "{}", tar.metadata()?.len());
    let told = daemon.cli_with_input(&["volume", "import", "two"], &fs::read(&tar)?)?;
    ensure!(told.ok()? == "two", "{told:?}");
    same(&data(&daemon, "two"), &before)?;
    let sparse = data(&daemon, "two").join("sparse").metadata()?;
    ensure!(sparse.len() == 64 << 20 && sparse.blocks() < 4096);
    // Others read the tar, and compressed ones are read.
    let place = daemon.path("gnu");
    fs::create_dir(&place)?;
    let mut unpack = Command::new("tar");
    unpack.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"]);
    let unpacked = unpack.arg(&tar).arg("-C").arg(&place).output()?;
    ensure!(unpacked.status.success(), "{unpacked:?}");
    same(&place, &before)?;
    let zipped = Command::new("gzip").arg("-c").arg(&tar).output()?.stdout;
    let zip = daemon.path("one.tgz");
    fs::write(&zip, zipped)?;
    cli(
        &daemon,
        &[
            "volume",
            "import",
            "-i",
            zip.to_str().context("a path")?,
            "three",
        ],
    )?;
    same(&data(&daemon, "three"), &before)?;
    // One that is there and empty keeps its labels.
    cli(&daemon, &["volume", "create", "--label", "a=b", "four"])?;
    cli(
        &daemon,
        &[
            "volume",
            "import",
            "-i",
            tar.to_str().context("a path")?,
            "four",
        ],
    )?;
    same(&data(&daemon, "four"), &before)?;
    ensure!(
        cli(
            &daemon,
            &["volume", "inspect", "-f", "{{.Labels.a}}", "four"]
        )? == "b"
    );
    let check = cli(&daemon, &["system", "check"])?;
    ensure!(check.contains("4 volumes"), "{check}");
    daemon.clean()
}

#[test]
fn what_cannot_be_imported_leaves_nothing() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "it has no export of volumes") {
        return Ok(());
    }
    refuses(
        &daemon,
        &["volume", "export", "nosuch"],
        "get nosuch: no such volume",
    )?;
    refuses(&daemon, &["volume", "export"], "requires 1 argument")?;
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let layer =
        onggi_testkit::Layer::new(&[onggi_testkit::Entry::File("f".to_owned(), 0o644, noise)])?;
    let tar = layer.tar();
    let out = onggi_testkit::Layer::new(&[
        onggi_testkit::Entry::Link("out".to_owned(), "/".to_owned()),
        onggi_testkit::Entry::File("out/escaped-by-import".to_owned(), 0o644, Vec::new()),
    ])?;
    let file = |name: &str| onggi_testkit::Entry::File(name.to_owned(), 0o644, Vec::new());
    let dangling = onggi_testkit::Layer::new(&[onggi_testkit::Entry::HardLink(
        "l".to_owned(),
        "etc/passwd".to_owned(),
    )])?;
    let through = onggi_testkit::Layer::new(&[file("a"), file("a/b")])?;
    for (what, tar) in [
        ("no tar", &b"some text, and no tar at all"[..]),
        ("nothing, as an export that failed", b""),
        ("a link to nothing", dangling.tar()),
        ("a file as a directory", through.tar()),
        ("half of one", &tar[..tar.len() / 2]),
    ] {
        let output = daemon.cli_with_input(&["volume", "import", "new"], tar)?;
        ensure!(
            output.code == 1 && output.stderr.contains("import new: "),
            "{what}: {output:?}"
        );
        let import = Request::new("POST", "/volumes/new/import").body("application/x-tar", tar);
        ensure!(daemon.send(&import)?.status == 400, "{what}");
        ensure!(names(&daemon)?.is_empty(), "{what} left a volume");
    }
    let output = daemon.cli_with_input(&["volume", "import", "a@b"], tar)?;
    ensure!(
        output
            .stderr
            .contains("includes invalid characters for a local volume name"),
        "{output:?}"
    );
    // A link in the archive leads nowhere but into the volume.
    daemon.cli_with_input(&["volume", "import", "link"], out.tar())?;
    ensure!(!Path::new("/escaped-by-import").exists());
    daemon.cli(&["volume", "rm", "-f", "link"])?;
    cli(&daemon, &["volume", "create", "full"])?;
    fs::write(data(&daemon, "full").join("own"), "kept")?;
    let output = daemon.cli_with_input(&["volume", "import", "full"], tar)?;
    ensure!(
        output.stderr.contains("import full: the volume is not empty: import into one that is not there yet, or remove its files first"),
        "{output:?}"
    );
    ensure!(
        daemon
            .send(&Request::new("POST", "/volumes/full/import"))?
            .status
            == 409
    );
    let entries = fs::read_dir(data(&daemon, "full"))?.count();
    ensure!(entries == 1 && fs::read_dir(daemon.data_root().join("volumes/full"))?.count() == 1);
    let tmpfs = [
        "volume",
        "create",
        "-o",
        "type=tmpfs",
        "-o",
        "device=tmpfs",
        "ram",
    ];
    cli(&daemon, &tmpfs)?;
    let output = daemon.cli_with_input(&["volume", "import", "ram"], tar)?;
    ensure!(
        output
            .stderr
            .contains("keeps nothing while no container runs with it"),
        "{output:?}"
    );
    let check = cli(&daemon, &["system", "check"])?;
    ensure!(check.contains("2 volumes"), "{check}");
    daemon.clean()
}

#[test]
fn volumes_in_use_are_exported_and_filled() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "it has no export of volumes") {
        return Ok(());
    }
    let tmpfs = [
        "volume",
        "create",
        "-o",
        "type=tmpfs",
        "-o",
        "device=tmpfs",
        "ram",
    ];
    cli(&daemon, &tmpfs)?;
    let run = [
        "run", "-d", "--name", "user", "-v", "data:/d", "-v", "empty:/e", "-v", "ram:/r",
        "busybox", "sleep", "1000",
    ];
    cli(&daemon, &run)?;
    let write = "echo one > /d/one; mkdir -m 750 /d/sub; echo two > /d/sub/two; chown -R 5:6 /d";
    cli(&daemon, &["exec", "user", "sh", "-c", write])?;
    let tar = export(&daemon, "data")?;
    let tar = tar.to_str().context("a path")?;
    let script = "stat -c '%n %a %u:%g' . one sub sub/two; cat one sub/two";
    for (volume, path) in [("empty", "/e"), ("ram", "/r")] {
        cli(&daemon, &["volume", "import", "-i", tar, volume])?;
        // The container that runs sees them.
        let told = cli(&daemon, &["exec", "-w", path, "user", "sh", "-c", script])?;
        let expected = ". 755 5:6\none 644 5:6\nsub 750 5:6\nsub/two 644 5:6\none\ntwo";
        ensure!(told == expected, "{volume}: {told}");
        ensure!(cli(&daemon, &["exec", "user", "ls", "-A", path])? == "one\nsub");
    }
    refuses(
        &daemon,
        &["volume", "import", "-i", tar, "empty"],
        "the volume is not empty",
    )?;
    let id = cli(&daemon, &["ps", "-q", "--no-trunc"])?;
    let text = format!("rename data: volume is in use - [{id}]");
    refuses(&daemon, &["volume", "rename", "data", "other"], &text)?;
    // Mounted for the export, and no longer.
    cli(&daemon, &["rm", "-f", "user"])?;
    cli(
        &daemon,
        &[
            "volume",
            "export",
            "-o",
            daemon.path("ram.tar").to_str().context("a path")?,
            "ram",
        ],
    )?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    ensure!(!mounts.contains(data(&daemon, "ram").to_str().context("a path")?));
    daemon.clean()
}

#[test]
fn a_volume_gets_another_name() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "it does not rename volumes") {
        return Ok(());
    }
    cli(&daemon, &["volume", "create", "--label", "a=b", "old"])?;
    says(&daemon, &["-v", "old:/d"], "echo kept > /d/file")?;
    ensure!(cli(&daemon, &["volume", "rename", "old", "new"])?.is_empty());
    ensure!(names(&daemon)? == ["new"]);
    ensure!(
        cli(
            &daemon,
            &["volume", "inspect", "-f", "{{.Name}} {{.Labels.a}}", "new"]
        )? == "new b"
    );
    ensure!(says(&daemon, &["-v", "new:/d"], "cat /d/file")? == "kept");
    cli(&daemon, &["volume", "create", "taken"])?;
    for (arguments, text) in [
        (["nosuch", "other"], "get nosuch: no such volume"),
        (
            ["new", "taken"],
            "rename new: a volume taken is already there",
        ),
        (
            ["new", "x"],
            "volume name is too short, names should be at least two alphanumeric characters",
        ),
        (
            ["new", "../x"],
            "includes invalid characters for a local volume name",
        ),
    ] {
        refuses(
            &daemon,
            &[&["volume", "rename"][..], &arguments].concat(),
            text,
        )?;
    }
    // An anonymous one is then as any that was named.
    let anonymous = cli(&daemon, &["volume", "create"])?;
    cli(&daemon, &["volume", "rename", &anonymous, "named"])?;
    ensure!(cli(&daemon, &["volume", "prune", "-f"])? == "Total reclaimed space: 0B");
    ensure!(names(&daemon)? == ["named", "new", "taken"]);
    ensure!(cli(&daemon, &["system", "check"])?.contains("3 volumes"));
    daemon.clean()
}

/// A container that runs swaps what is in the volume for links to the host, over and over, while it is exported.
#[test]
fn an_export_never_leads_out() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "it has no export of volumes") {
        return Ok(());
    }
    let secret = daemon.path("secret");
    fs::create_dir(&secret)?;
    fs::write(secret.join("file"), "of the host")?;
    let script = format!(
        "mkdir /v/real; echo inner > /v/real/file; ln -s {0} /v/link; ln -s {0}/file /v/flink; echo inner > /v/freal; touch /v/ready; \
         while :; do mv /v/real /v/sub; mv /v/sub /v/real; mv /v/link /v/sub; mv /v/sub /v/link; \
         mv /v/freal /v/f; mv /v/f /v/freal; mv /v/flink /v/f; mv /v/f /v/flink; done",
        secret.display()
    );
    cli(
        &daemon,
        &[
            "run", "-d", "--name", "swapper", "-v", "data:/v", "busybox", "sh", "-c", &script,
        ],
    )?;
    let ready = data(&daemon, "data").join("ready");
    wait_until("the swapper to swap", LIMIT, || {
        ready.exists().then_some(())
    })?;
    for _ in 0..30 {
        let answer = daemon.get("/volumes/data/export")?.ok()?;
        let found = answer
            .body
            .windows(11)
            .any(|window| window == b"of the host");
        ensure!(!found, "a file of the host was exported");
    }
    daemon.clean()
}

/// What is being exported or imported stays; a second import waits for nobody and is refused.
#[test]
fn a_volume_that_is_copied_stays() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "it has no export of volumes") {
        return Ok(());
    }
    let layer = onggi_testkit::Layer::new(&[onggi_testkit::Entry::File(
        "f".to_owned(),
        0o644,
        vec![7; 4000],
    )])?;
    let tar = layer.tar();
    let mut slow = Slow::start(&daemon, &tar[..512])?;
    wait_until("the import to begin", LIMIT, || {
        daemon
            .data_root()
            .join("volumes/slow/.import")
            .exists()
            .then_some(())
    })?;
    refuses(
        &daemon,
        &["volume", "rm", "slow"],
        "remove slow: volume is in use - [import]",
    )?;
    refuses(
        &daemon,
        &["volume", "rename", "slow", "other"],
        "rename slow: volume is in use - [import]",
    )?;
    let output = daemon.cli_with_input(&["volume", "import", "slow"], tar)?;
    ensure!(
        output
            .stderr
            .contains("import slow: another import into this volume is going on"),
        "{output:?}"
    );
    // Containers need not wait for it.
    ensure!(says(&daemon, &["-v", "slow:/s:nocopy"], "ls -A /s")?.is_empty());
    ensure!(cli(&daemon, &["system", "check"])?.contains("1 volume"));
    ensure!(slow.finish(&tar[512..])?.contains("201"));
    ensure!(says(&daemon, &["-v", "slow:/s"], "ls -A /s")? == "f");
    // Who breaks off leaves nothing.
    cli(&daemon, &["volume", "rm", "slow"])?;
    let broken = Slow::start(&daemon, &tar[..512])?;
    wait_until("the import to begin", LIMIT, || {
        daemon
            .data_root()
            .join("volumes/slow/.import")
            .exists()
            .then_some(())
    })?;
    drop(broken);
    wait_until("the volume to go", LIMIT, || {
        names(&daemon).ok()?.is_empty().then_some(())
    })?;
    daemon.clean()
}

/// A client that sends the tar in two parts.
struct Slow(std::os::unix::net::UnixStream);

impl Slow {
    fn start(daemon: &Daemon, part: &[u8]) -> Result<Self> {
        use std::io::Write as _;
        let mut stream = std::os::unix::net::UnixStream::connect(daemon.socket())?;
        let head = "POST /volumes/slow/import HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                    Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n";
        write!(stream, "{head}{:x}\r\n", part.len())?;
        stream.write_all(part)?;
        stream.write_all(b"\r\n")?;
        Ok(Self(stream))
    }

    fn finish(&mut self, part: &[u8]) -> Result<String> {
        use std::io::{Read as _, Write as _};
        write!(self.0, "{:x}\r\n", part.len())?;
        self.0.write_all(part)?;
        self.0.write_all(b"\r\n0\r\n\r\n")?;
        let mut answer = String::new();
        self.0.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
