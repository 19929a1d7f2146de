//! `cp` as people type it: what goes where under which name.

use crate::{daemon, everywhere, sleeper};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Client, Daemon, Subject};
use std::fs;
use std::path::Path;

/// Every path below a directory, sorted; files with their content.
fn tree(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.strip_prefix(root)?.display().to_string();
            let kind = fs::symlink_metadata(&path)?.file_type();
            if kind.is_dir() {
                found.push(format!("{name}/"));
                waiting.push(path);
            } else if kind.is_symlink() {
                found.push(format!("{name} -> {}", fs::read_link(&path)?.display()));
            } else {
                found.push(format!("{name}={}", fs::read_to_string(&path)?.trim()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Source and destination, and what is there then, or what is said.
type Case = (
    &'static [&'static str],
    &'static str,
    &'static str,
    Result<&'static [&'static str], &'static str>,
);

const CASES: &[Case] = &[
    // A file.
    (&[], "/s/f", "new", Ok(&["new=f"])),
    (&[], "/s/f", "dir", Ok(&["dir/", "dir/f=f"])),
    (&[], "/s/f", "dir/", Ok(&["dir/", "dir/f=f"])),
    (&[], "/s/f", "old", Ok(&["old=f"])),
    (&[], "/s/f", "missing/", Err("no such directory")),
    (&[], "/s/f", "missing/x", Err("")),
    (&[], "/s/nope", "new", Err("")),
    // A directory.
    (
        &[],
        "/s/d",
        "new",
        Ok(&["new/", "new/a=a", "new/sub/", "new/sub/b=b"]),
    ),
    (
        &[],
        "/s/d/",
        "new/",
        Ok(&["new/", "new/a=a", "new/sub/", "new/sub/b=b"]),
    ),
    (
        &[],
        "/s/d",
        "dir",
        Ok(&["dir/", "dir/d/", "dir/d/a=a", "dir/d/sub/", "dir/d/sub/b=b"]),
    ),
    (
        &[],
        "/s/d/.",
        "dir",
        Ok(&["dir/", "dir/a=a", "dir/sub/", "dir/sub/b=b"]),
    ),
    (
        &[],
        "/s/d/.",
        "new",
        Ok(&["new/", "new/a=a", "new/sub/", "new/sub/b=b"]),
    ),
    (&[], "/s/d", "old", Err("cannot copy directory")),
    // A link.
    (&[], "/s/lf", "new", Ok(&["new -> f"])),
    (&["-L"], "/s/lf", "new", Ok(&["new=f"])),
    (&["-L"], "/s/lf", "dir", Ok(&["dir/", "dir/lf=f"])),
    (&[], "/s/ld", "dir", Ok(&["dir/", "dir/ld -> d"])),
    (
        &["-L"],
        "/s/ld",
        "dir",
        Ok(&[
            "dir/",
            "dir/ld/",
            "dir/ld/a=a",
            "dir/ld/sub/",
            "dir/ld/sub/b=b",
        ]),
    ),
    (
        &[],
        "/s/ld/",
        "dir",
        Ok(&[
            "dir/",
            "dir/ld/",
            "dir/ld/a=a",
            "dir/ld/sub/",
            "dir/ld/sub/b=b",
        ]),
    ),
    (
        &[],
        "/s/ld/.",
        "dir",
        Ok(&["dir/", "dir/a=a", "dir/sub/", "dir/sub/b=b"]),
    ),
    // Onto a link.
    (&[], "/s/f", "tolink", Ok(&["dir/", "dir/f=f"])),
    (&[], "/s/f", "filelink", Ok(&["old=f"])),
];

const SOURCE: &str = "mkdir -p s/d/sub; echo f > s/f; echo a > s/d/a; echo b > s/d/sub/b; ln -s f s/lf; ln -s d s/ld";

/// The destination as it is before a case, and what of it a case is not about.
const BEFORE: &str = "mkdir t t/dir; echo old > t/old; ln -s dir t/tolink; ln -s old t/filelink";

fn check(found: Vec<String>, expected: &[&str]) -> Result<()> {
    let unchanged = ["dir/", "old=old", "tolink -> dir", "filelink -> old"];
    let mut wanted: Vec<&str> = expected.to_vec();
    for line in unchanged {
        let name = line.split(['=', ' ']).next().unwrap_or(line);
        if !expected
            .iter()
            .any(|e| e.split(['=', ' ']).next() == Some(name))
        {
            wanted.push(line);
        }
    }
    wanted.sort_unstable();
    ensure!(found == wanted, "found {found:?}, expected {wanted:?}");
    Ok(())
}

fn shell(directory: &Path, script: &str) -> Result<()> {
    let status = std::process::Command::new("sh")
        .args(["-ec", script])
        .current_dir(directory)
        .status()?;
    ensure!(status.success(), "{script}");
    Ok(())
}

#[test]
fn out_of_a_container() -> Result<()> {
    everywhere(|daemon| {
        sleeper(daemon, "box1", &[], &format!("cd /; {SOURCE}"))?;
        for (number, (flags, source, destination, expected)) in CASES.iter().enumerate() {
            let place = daemon.path(&format!("out{number}"));
            fs::create_dir(&place)?;
            shell(&place, BEFORE)?;
            let target = format!("{}/t/{destination}", place.display());
            let source = format!("box1:{source}");
            let arguments = [&["cp"], *flags, &[source.as_str(), target.as_str()]].concat();
            let output = daemon.cli(&arguments)?;
            let said = format!("{arguments:?}: {output:?}");
            match expected {
                Ok(expected) => {
                    output.ok().context(said.clone())?;
                    check(tree(&place.join("t"))?, expected).context(said)?;
                }
                Err(text) => ensure!(output.code == 1 && output.stderr.contains(text), "{said}"),
            }
        }
        Ok(())
    })
}

#[test]
fn into_a_container() -> Result<()> {
    everywhere(|daemon| {
        let place = daemon.path("in");
        fs::create_dir(&place)?;
        shell(&place, SOURCE)?;
        let shared = daemon.path("shared");
        fs::create_dir(&shared)?;
        let bind = format!("{}:/w", shared.display());
        sleeper(daemon, "box1", &["-v", &bind], "true")?;
        for (flags, source, destination, expected) in CASES {
            shell(&shared, &format!("rm -rf t; {BEFORE}"))?;
            let source = format!("{}{source}", place.display());
            let target = format!("box1:/w/t/{destination}");
            let arguments = [&["cp"], *flags, &[source.as_str(), target.as_str()]].concat();
            let output = daemon.cli(&arguments)?;
            let said = format!("{arguments:?}: {output:?}");
            match expected {
                Ok(expected) => {
                    output.ok().context(said.clone())?;
                    check(tree(&shared.join("t"))?, expected).context(said)?;
                }
                Err(text) => ensure!(output.code == 1 && output.stderr.contains(text), "{said}"),
            }
        }
        Ok(())
    })
}

#[test]
fn streams_and_words() -> Result<()> {
    everywhere(|daemon| {
        sleeper(daemon, "box1", &[], &format!("cd /; {SOURCE}; mkdir /in"))?;
        let tar = daemon.path("s.tar").display().to_string();
        let out = daemon
            .cli_command(&["cp", "box1:/s/d", "-"])?
            .output_of(daemon)?;
        fs::write(&tar, &out)?;
        let list = crate::listing(&out)?;
        let names: Vec<&str> = list
            .iter()
            .filter_map(|line| line.split(' ').next_back())
            .collect();
        ensure!(names == ["d/", "d/a", "d/sub/", "d/sub/b"], "{names:?}");
        daemon
            .cli_with_input(&["cp", "-", "box1:/in"], &out)?
            .ok()?;
        let seen = daemon.cli(&["exec", "box1", "cat", "/in/d/sub/b"])?;
        ensure!(seen.ok()? == "b", "{seen:?}");
        for (arguments, text) in [
            (
                &["cp", "-", "box1:/s/f"][..],
                "destination \"box1:/s/f\" must be a directory",
            ),
            (
                &["cp", "box1:/s", "box1:/t"],
                "copying between containers is not supported",
            ),
            (
                &["cp", "/s", "/t"],
                "must specify at least one container source",
            ),
            (&["cp", "", "box1:/t"], "source can not be empty"),
            (&["cp", "nobody:/x", "/tmp"], "No such container: nobody"),
            (
                &["cp", "box1:/x", "/no/such/place"],
                "invalid output path: directory \"/no/such\" does not exist",
            ),
        ] {
            let output = daemon.cli(arguments)?;
            ensure!(
                output.code == 1 && output.stderr.contains(text),
                "{arguments:?}: {output:?}"
            );
        }
        // Quiet where there is no terminal, unless told otherwise.
        let to = daemon.path("f").display().to_string();
        let quiet = daemon.cli(&["cp", "box1:/s/f", &to])?;
        ensure!(quiet.code == 0 && quiet.stderr.is_empty(), "{quiet:?}");
        let loud = daemon.cli(&["cp", "--quiet=false", "box1:/s/f", &to])?;
        ensure!(
            loud.stderr.contains("Successfully copied ") && loud.stderr.contains(&to),
            "{loud:?}"
        );
        Ok(())
    })
}

/// Standard output as bytes.
trait OutputOf {
    fn output_of(self, daemon: &Daemon) -> Result<Vec<u8>>;
}

impl OutputOf for std::process::Command {
    fn output_of(mut self, daemon: &Daemon) -> Result<Vec<u8>> {
        // The socket is a file: the network namespace does not matter.
        let output = self.output().with_context(|| daemon.host())?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    }
}

/// Times survive the way out and back; `-a` gives to the container's user.
#[test]
fn times_and_owners() -> Result<()> {
    let daemon = daemon()?;
    sleeper(&daemon, "box1", &["--user", "65534:10"], "true")?;
    let place = daemon.path("p");
    fs::create_dir(&place)?;
    shell(
        &place,
        "mkdir d; echo x > d/f; touch -d @981173106 d/f; touch -d @981173107 d; chown 7:8 d/f",
    )?;
    let source = place.join("d").display().to_string();
    daemon.cli(&["cp", &source, "box1:/tmp/kept"])?.ok()?;
    daemon
        .cli(&["cp", "-a", &source, "box1:/tmp/given"])?
        .ok()?;
    let look = ["exec", "box1", "stat", "-c", "%u %g %Y"];
    for (path, expected) in [
        ("/tmp/kept/f", "7 8 981173106"),
        ("/tmp/kept", "0 0 981173107"),
        ("/tmp/given/f", "65534 10 981173106"),
        ("/tmp/given", "65534 10 981173107"),
    ] {
        let seen = daemon.cli(&[&look[..], &[path]].concat())?;
        ensure!(seen.ok()? == expected, "{path}: {seen:?}");
    }
    let back = place.join("back");
    daemon
        .cli(&["cp", "box1:/tmp/kept", &back.display().to_string()])?
        .ok()?;
    let modified = fs::metadata(back.join("f"))?.modified()?;
    let seconds = modified.duration_since(std::time::UNIX_EPOCH)?.as_secs();
    ensure!(seconds == 981_173_106, "{seconds}");
    let own = std::os::unix::fs::MetadataExt::uid(&fs::metadata(back.join("f"))?);
    ensure!(own == 0, "{own}");
    ensure!(daemon.subject() == Subject::Onggi || Client::from_env() != Client::Onggi);
    daemon.clean()
}
