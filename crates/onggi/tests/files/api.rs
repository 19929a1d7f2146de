//! The archive endpoint: what is at a path, a tar of it, a tar unpacked there.

use crate::{both, daemon, listing, put, sleeper};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Entry, Layer, Request, Subject};
use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;

const SCRIPT: &str = "mkdir -p /x/y /data; echo 1 > /x/1; echo 2 > /data/f; ln -s /data /link; \
    ln -s ../x/1 /x/relative; ln -s /nowhere /broken; ln /x/1 /x/2; mkfifo /x/pipe; chmod 4751 /x/1";

/// `GET` of a path: status, the header's JSON without time, and the list of the tar.
fn get(daemon: &Daemon, container: &str, path: &str) -> Result<(u16, String, Vec<String>)> {
    let answer = daemon.get(&format!("/containers/{container}/archive?path={path}"))?;
    let Some(header) = answer.header("x-docker-container-path-stat") else {
        return Ok((answer.status, answer.text(), Vec::new()));
    };
    let mut stat: serde_json::Value = serde_json::from_slice(&base64(header)?)?;
    let stat = stat.as_object_mut().context("an object")?;
    stat.remove("mtime");
    stat.remove("size");
    stat.sort_keys();
    let stat = serde_json::to_string(&stat)?;
    Ok((answer.status, stat, listing(&answer.body)?))
}

fn base64(text: &str) -> Result<Vec<u8>> {
    let mut bits = 0_u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for letter in text.bytes().filter(|byte| *byte != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Ok(bytes)
}

/// Running and stopped, the same paths give the same archives, on dockerd too.
#[test]
fn paths_mean_what_they_mean_to_docker() -> Result<()> {
    both(|daemon| {
        let host = daemon.path("host");
        fs::create_dir(&host)?;
        fs::write(host.join("h"), "h")?;
        let bind = format!("{}:/bound", host.display());
        sleeper(daemon, "box1", &["-v", &bind], SCRIPT)?;
        for round in ["running", "stopped"] {
            check_paths(daemon).context(round)?;
            daemon.cli(&["kill", "box1"])?;
        }
        Ok(())
    })
}

fn check_paths(daemon: &Daemon) -> Result<()> {
    let directory =
        |name: &str| format!(r#"{{"linkTarget":"","mode":2147484141,"name":"{name}"}}"#);
    let link = |name: &str, target: &str| {
        format!(r#"{{"linkTarget":"{target}","mode":134218239,"name":"{name}"}}"#)
    };
    let data = |name: &str| {
        vec![
            format!("drwxr-xr-x 0/0 0 {name}/"),
            format!("-rw-r--r-- 0/0 2 {name}/f"),
        ]
    };
    for (path, stat, list) in [
        ("/data", directory("data"), data("data")),
        ("data/", directory("data"), data("data")),
        ("../data", directory("data"), data("data")),
        ("/data/.", directory("."), data(".")),
        (
            "/link",
            link("link", "/data"),
            vec!["lrwxrwxrwx 0/0 0 link -> /data".to_owned()],
        ),
        ("/link/", directory("link"), data("link")),
        ("/link/.", directory("."), data(".")),
        (
            "/x/relative",
            link("relative", "/x/1"),
            vec!["lrwxrwxrwx 0/0 0 relative -> ../x/1".to_owned()],
        ),
        (
            "/broken",
            link("broken", "/nowhere"),
            vec!["lrwxrwxrwx 0/0 0 broken -> /nowhere".to_owned()],
        ),
        (
            "/data/f",
            r#"{"linkTarget":"","mode":420,"name":"f"}"#.to_owned(),
            vec!["-rw-r--r-- 0/0 2 f".to_owned()],
        ),
        (
            "/bound/h",
            r#"{"linkTarget":"","mode":420,"name":"h"}"#.to_owned(),
            vec!["-rw-r--r-- 0/0 1 h".to_owned()],
        ),
        // Set-user-id has a place of its own in Go.
        (
            "/x/1",
            r#"{"linkTarget":"","mode":8389097,"name":"1"}"#.to_owned(),
            vec!["-rwsr-x--x 0/0 2 1".to_owned()],
        ),
    ] {
        let found = get(daemon, "box1", path)?;
        ensure!(found == (200, stat, list), "{path}: {found:?}");
    }
    let (_, _, list) = get(daemon, "box1", "/x")?;
    let expected = [
        "drwxr-xr-x 0/0 0 x/",
        "-rwsr-x--x 0/0 2 x/1",
        "hrwsr-x--x 0/0 0 x/2 link to x/1",
        "prw-r--r-- 0/0 0 x/pipe",
        "lrwxrwxrwx 0/0 0 x/relative -> ../x/1",
        "drwxr-xr-x 0/0 0 x/y/",
    ];
    ensure!(list == expected, "{list:?}");
    for path in ["/nope", "/broken/", "/data/nope/x"] {
        let text = format!("Could not find the file {path} in container box1");
        let (status, found, _) = get(daemon, "box1", path)?;
        ensure!(
            status == 404 && found.contains(&text),
            "{path}: {status} {found}"
        );
        let head = format!("/containers/box1/archive?path={path}");
        ensure!(daemon.send(&Request::new("HEAD", &head))?.status == 404);
    }
    // dockerd 20.10 says 500 and tells where its root is; the API's description says 400.
    let wrong = if daemon.subject() == Subject::Dockerd {
        500
    } else {
        400
    };
    for path in ["/data/f/", "/data/f/.", "/data/f/x"] {
        let (status, found, _) = get(daemon, "box1", path)?;
        ensure!(
            status == wrong && found.contains("not a directory"),
            "{path}: {status} {found}"
        );
    }
    Ok(())
}

fn tar_of(entries: &[Entry]) -> Result<Vec<u8>> {
    Ok(Layer::new(entries)?.tar().to_vec())
}

#[test]
fn archives_are_unpacked_or_refused() -> Result<()> {
    both(|daemon| {
        let host = daemon.path("host");
        fs::create_dir(&host)?;
        let (fixed, free) = (
            format!("{}:/fixed:ro", host.display()),
            format!("{}:/free", host.display()),
        );
        let flags = ["-v", &fixed, "-v", &free];
        sleeper(
            daemon,
            "box1",
            &flags,
            "mkdir -p /in/dir; echo > /in/file; ln -s /in /to",
        )?;
        let create = [
            "create",
            "--name",
            "box2",
            "--read-only",
            "-v",
            &fixed,
            "-v",
            &free,
            "busybox",
        ];
        daemon.cli(&create)?.ok()?;
        let wrong = if daemon.subject() == Subject::Dockerd {
            500
        } else {
            400
        };
        let file = tar_of(&[Entry::File("new".to_owned(), 0o640, b"new".to_vec())])?;
        let over_dir = tar_of(&[Entry::File("dir".to_owned(), 0o640, b"new".to_vec())])?;
        let over_file = tar_of(&[Entry::Directory("file".to_owned(), 0o755)])?;
        for (container, query, tar, status, text) in [
            ("box1", "path=/in", &file, 200, ""),
            ("box1", "path=/to", &file, 200, ""),
            ("box1", "path=/free", &file, 200, ""),
            (
                "box1",
                "path=/nope",
                &file,
                404,
                "Could not find the file /nope in container box1",
            ),
            ("box1", "path=", &file, 400, "bad parameter: path"),
            (
                "box1",
                "path=/in/file",
                &file,
                wrong,
                "extraction point is not a directory",
            ),
            (
                "box1",
                "path=/fixed",
                &file,
                wrong,
                "mounted volume is marked read-only",
            ),
            (
                "box2",
                "path=/tmp",
                &file,
                wrong,
                "container rootfs is marked read-only",
            ),
            (
                "box2",
                "path=/fixed",
                &file,
                wrong,
                "mounted volume is marked read-only",
            ),
            ("box2", "path=/free", &file, 200, ""),
            (
                "box1",
                "path=/in&noOverwriteDirNonDir=1",
                &over_dir,
                wrong,
                r#"cannot overwrite directory \"/in/dir\" with non-directory \"/in\""#,
            ),
            (
                "box1",
                "path=/in&noOverwriteDirNonDir=true",
                &over_file,
                wrong,
                r#"cannot overwrite non-directory \"/in/file\" with directory \"/in\""#,
            ),
            ("box1", "path=/in", &over_dir, 200, ""),
            ("box1", "path=/in", &over_file, 200, ""),
            ("box1", "path=/in", &b"not a tar at all".to_vec(), wrong, ""),
            (
                "nobody",
                "path=/in",
                &file,
                404,
                "No such container: nobody",
            ),
        ] {
            let answer = put(daemon, container, query, tar)?;
            let fits = answer.status == status && answer.text().contains(text);
            ensure!(
                fits,
                "{container} {query}: {} {}",
                answer.status,
                answer.text()
            );
        }
        let seen = daemon.cli(&[
            "exec",
            "box1",
            "sh",
            "-c",
            "cd /in; stat -c '%n %F %a %u' *",
        ])?;
        let expected = "dir regular file 640 0\nfile directory 755 0\nnew regular file 640 0";
        ensure!(seen.ok()? == expected, "{seen:?}");
        ensure!(fs::read(host.join("new"))? == b"new");
        Ok(())
    })
}

#[test]
fn owners_times_and_attributes_arrive() -> Result<()> {
    let daemon = daemon()?;
    let script = "mkdir /in /users; chown 7:8 /users; echo 'app:x:12:34::/:' >> /etc/passwd";
    sleeper(&daemon, "box1", &["--user", "0:0"], script)?;
    let tree = daemon.path("tree");
    fs::create_dir_all(tree.join("d"))?;
    fs::write(tree.join("d/f"), "x")?;
    std::os::unix::fs::chown(tree.join("d/f"), Some(1001), Some(1002))?;
    let (tree, tar) = (
        tree.display().to_string(),
        daemon.path("t.tar").display().to_string(),
    );
    let made = std::process::Command::new("tar")
        .args([
            "--numeric-owner",
            "--mtime=@981173106.5",
            "-cf",
            &tar,
            "-C",
            &tree,
            "d",
        ])
        .status()?;
    ensure!(made.success());
    let bytes = fs::read(&tar)?;
    put(&daemon, "box1", "path=/in", &bytes)?.ok()?;
    let look = ["exec", "box1", "stat", "-c", "%u %g %Y", "/in/d/f", "/in/d"];
    let seen = daemon.cli(&look)?;
    ensure!(
        seen.ok()? == "1001 1002 981173106\n0 0 981173106",
        "{seen:?}"
    );
    // The container's user, by its own passwd.
    sleeper(&daemon, "box2", &["--user", "app"], "true")
        .err()
        .context("no such user")?;
    for (user, owner) in [("12:34", "12 34"), ("nobody", "65534 65534")] {
        let name = format!("as-{}", user.replace(':', "-"));
        daemon
            .cli(&["create", "--name", &name, "--user", user, "busybox"])?
            .ok()?;
        put(&daemon, &name, "path=/tmp&copyUIDGID=1", &bytes)?.ok()?;
        let list = listing(
            &daemon
                .get(&format!("/containers/{name}/archive?path=/tmp/d/f"))?
                .body,
        )?;
        let expected = format!("-rw-r--r-- {} 1 f", owner.replace(' ', "/"));
        ensure!(list == [expected], "{list:?}");
    }
    daemon.clean()
}

/// What a stopped container is given is there when it starts; its binds are seen too.
#[test]
fn stopped_containers_take_and_give() -> Result<()> {
    let daemon = daemon()?;
    let host = daemon.path("host");
    fs::create_dir(&host)?;
    let bind = format!("{}:/new/place", host.display());
    daemon
        .cli(&[
            "create",
            "--name",
            "box1",
            "-v",
            &bind,
            "busybox",
            "sh",
            "-c",
            "cat /tmp/new /new/place/new",
        ])?
        .ok()?;
    let file = tar_of(&[Entry::File("new".to_owned(), 0o644, b"text\n".to_vec())])?;
    // The mount point is not there before a first start.
    let (status, _, list) = get(&daemon, "box1", "/new/place")?;
    ensure!(
        status == 200 && list == ["drwxr-xr-x 0/0 0 place/"],
        "{status} {list:?}"
    );
    for directory in ["/tmp", "/new/place"] {
        put(&daemon, "box1", &format!("path={directory}"), &file)?.ok()?;
    }
    ensure!(fs::read(host.join("new"))? == b"text\n");
    let output = daemon.cli(&["start", "-a", "box1"])?;
    ensure!(output.ok()? == "text\ntext", "{output:?}");
    for path in ["/tmp/new", "/new/place/new"] {
        let (_, _, list) = get(&daemon, "box1", path)?;
        ensure!(list == ["-rw-r--r-- 0/0 5 new"], "{path}: {list:?}");
    }
    // Nothing of it is mounted on the host.
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let root = daemon.data_root().display().to_string();
    ensure!(!mounts.contains(&root), "{mounts}");
    daemon.clean()
}

/// Volumes of a container that does not run are where they would be, those that have to be mounted too.
#[test]
fn stopped_containers_show_their_volumes() -> Result<()> {
    let daemon = daemon()?;
    let create = [
        "volume",
        "create",
        "--opt",
        "type=tmpfs",
        "--opt",
        "device=tmpfs",
        "mounted",
    ];
    daemon.cli(&create)?.ok()?;
    let fill = [
        "run",
        "--rm",
        "-v",
        "plain:/v",
        "busybox",
        "sh",
        "-c",
        "mkdir /v/sub; echo deep > /v/sub/f; echo x > /v/f",
    ];
    daemon.cli(&fill)?.ok()?;
    let sub = "type=volume,source=plain,target=/sub,volume-subpath=sub";
    let image = "type=image,source=busybox,target=/image";
    let create = [
        "create",
        "--name",
        "box1",
        "-v",
        "plain:/v",
        "-v",
        "plain:/fixed:ro",
        "-v",
        "mounted:/m",
        "--mount",
        sub,
        "--mount",
        image,
        "busybox",
        "cat",
        "/v/new",
    ];
    daemon.cli(&create)?.ok()?;
    for (path, expected) in [
        ("/v/f", "f"),
        ("/sub/f", "f"),
        ("/image/etc/passwd", "passwd"),
    ] {
        let (status, _, list) = get(&daemon, "box1", path)?;
        let found = status == 200 && list.len() == 1 && list[0].ends_with(expected);
        ensure!(found, "{path}: {status} {list:?}");
    }
    let file = tar_of(&[Entry::File("new".to_owned(), 0o644, b"text\n".to_vec())])?;
    for (path, status) in [
        ("/v", 200),
        ("/m", 200),
        ("/sub", 200),
        ("/fixed", 400),
        ("/image/etc", 400),
    ] {
        let answer = put(&daemon, "box1", &format!("path={path}"), &file)?;
        ensure!(
            answer.status == status,
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
    }
    ensure!(fs::read(daemon.data_root().join("volumes/plain/_data/new"))? == b"text\n");
    // What was mounted for that is not any more.
    ensure!(!fs::exists(
        daemon.data_root().join("volumes/mounted/_data/new")
    )?);
    let output = daemon.cli(&["start", "-a", "box1"])?;
    ensure!(output.ok()? == "text", "{output:?}");
    daemon.clean()
}

/// A client that goes away in the middle stops the work, both ways, and nothing else.
#[test]
fn a_client_that_leaves_stops_the_work() -> Result<()> {
    let daemon = daemon()?;
    sleeper(
        &daemon,
        "box1",
        &[],
        "dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null",
    )?;
    let threads = |name: &str| -> Result<usize> {
        let pid = daemon.pid().context("a daemon")?;
        let mut found = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let comm = fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
            found += usize::from(comm.trim() == name);
        }
        Ok(found)
    };
    for round in ["running", "stopped"] {
        for _ in 0..4 {
            let mut stream = UnixStream::connect(daemon.socket())?;
            let request = "GET /containers/box1/archive?path=/big HTTP/1.1\r\nHost: x\r\n\r\n";
            std::io::Write::write_all(&mut stream, request.as_bytes())?;
            stream.read_exact(&mut [0; 4096])?;
        }
        onggi_testkit::wait_until("the threads to end", onggi_testkit::LIMIT, || {
            (threads("pack").ok()? == 0).then_some(())
        })
        .context(round)?;
        // Half an upload, and gone.
        let mut stream = UnixStream::connect(daemon.socket())?;
        let request = "PUT /containers/box1/archive?path=/tmp HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nhalf";
        std::io::Write::write_all(&mut stream, request.as_bytes())?;
        drop(stream);
        daemon.cli(&["kill", "box1"])?;
    }
    // The writer of the container is free again.
    daemon.cli(&["start", "box1"])?.ok()?;
    daemon.clean()
}
