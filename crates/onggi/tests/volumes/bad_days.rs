//! Full disks, and a daemon that is killed in the middle of everything.

use crate::{cli, daemon, is_dockerd, names};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Api, Daemon, Entry, Image, LIMIT, Layer, Request, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const MEBI: u64 = 1 << 20;

fn noise(bytes: u32) -> Vec<u8> {
    (0..bytes).map(|n| (n.wrapping_mul(n) >> 9) as u8).collect()
}

/// A layer with a folder of several files, which takes 8 MiB.
fn folder() -> Result<Layer> {
    let mut entries = vec![Entry::Directory("big".to_owned(), 0o750)];
    for n in 0..8 {
        entries.push(Entry::File(format!("big/{n}"), 0o644, noise(1 << 20)));
    }
    Layer::new(&entries)
}

#[test]
fn a_full_disk_leaves_nothing_half_made() -> Result<()> {
    let mut daemon = Daemon::start()?;
    if is_dockerd(&daemon, "it leaves what it had copied") {
        return Ok(());
    }
    daemon.stop()?;
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=90m", "tmpfs"])
        .arg(daemon.data_root())
        .status()?;
    ensure!(mount.success(), "{mount}");
    daemon.run()?;
    let layer = folder()?;
    daemon.load(&Image::busybox()?.layer(layer.clone()), &["big:latest"])?;
    cli(&daemon, &["volume", "create", "mine"])?;
    // 4 MiB are left.
    let filler = fs::File::create(daemon.data_root().join("filler"))?;
    let room = rustix::fs::statvfs(daemon.data_root())?;
    let free = room.f_bavail * room.f_frsize;
    rustix::fs::fallocate(
        &filler,
        rustix::fs::FallocateFlags::empty(),
        0,
        free - 4 * MEBI,
    )?;
    let full = "no space left on device";
    for volume in ["new", "mine"] {
        let output = daemon.cli(&["create", "-v", &format!("{volume}:/big"), "big"])?;
        ensure!(
            output.code != 0 && output.stderr.to_lowercase().contains(full),
            "{output:?}"
        );
        let output = daemon.cli_with_input(&["volume", "import", volume], layer.tar())?;
        ensure!(
            output.code != 0 && output.stderr.to_lowercase().contains(full),
            "{output:?}"
        );
        ensure!(
            names(&daemon)? == ["mine"],
            "{volume}: {:?}",
            names(&daemon)?
        );
        let place = daemon.data_root().join("volumes");
        ensure!(fs::read_dir(&place)?.count() == 1);
        ensure!(fs::read_dir(place.join("mine"))?.count() == 1);
        ensure!(fs::read_dir(place.join("mine/_data"))?.count() == 0);
    }
    drop(filler);
    fs::remove_file(daemon.data_root().join("filler"))?;
    cli(
        &daemon,
        &["create", "--name", "one", "-v", "mine:/big", "big"],
    )?;
    cli(&daemon, &["rm", "one"])?;
    daemon
        .cli_with_input(&["volume", "import", "new"], layer.tar())?
        .ok()?;
    for path in ["mine/_data/7", "new/_data/big/7"] {
        let path = daemon.data_root().join("volumes").join(path);
        ensure!(path.metadata()?.len() == MEBI, "{}", path.display());
    }
    ensure!(cli(&daemon, &["system", "check"])?.contains("2 volumes"));
    daemon.clean()
}

/// What clients were told before the daemon died.
#[derive(Default)]
struct Told {
    there: BTreeSet<String>,
    gone: BTreeSet<String>,
}

type Shared = Arc<Mutex<Told>>;

fn told(shared: &Shared, name: &str, there: bool) {
    if let Ok(mut told) = shared.lock() {
        let told = &mut *told;
        let (to, from) = match there {
            true => (&mut told.there, &mut told.gone),
            false => (&mut told.gone, &mut told.there),
        };
        from.remove(name);
        to.insert(name.to_owned());
    }
}

/// Does one thing after the other until the daemon is gone.
fn work(
    api: &Api,
    kind: usize,
    round: usize,
    tar: &[u8],
    shared: &Shared,
    done: &AtomicUsize,
) -> Option<()> {
    let create = |name: &str| {
        let made = api.post("/volumes/create", &json!({"Name": name})).ok()?;
        (made.status == 201).then(|| told(shared, name, true))
    };
    for n in 0.. {
        let name = format!("k{kind}-{round}-{n}");
        match kind {
            0 => {
                create(&name)?;
                // From here on until it is answered it may be there or not.
                if let Ok(mut told) = shared.lock() {
                    told.there.remove(&name);
                }
                let removed = api.delete(&format!("/volumes/{name}")).ok()?;
                (removed.status == 204).then(|| told(shared, &name, false))?;
            }
            1 => {
                let path = format!("/volumes/{name}/import");
                let request = Request::new("POST", &path).body("application/x-tar", tar);
                (api.send(&request).ok()?.status == 201).then(|| told(shared, &name, true))?;
            }
            2 => {
                create(&name)?;
                // Between the two names it is one or the other.
                if let Ok(mut told) = shared.lock() {
                    told.there.remove(&name);
                }
                let path = format!("/volumes/{name}/rename?name={name}-new");
                let renamed = api.post(&path, &Value::Null).ok()?;
                if renamed.status == 204 {
                    told(shared, &name, false);
                    told(shared, &format!("{name}-new"), true);
                }
            }
            _ => {
                let made = api.post("/volumes/create", &json!({})).ok()?.json().ok()?;
                made["Name"].as_str()?;
                api.post("/volumes/prune", &Value::Null).ok()?;
            }
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    None
}

/// Killed at whatever moment: what was answered is so, what was not is whole or absent, and `system check` finds nothing.
#[test]
fn killed_in_the_middle_of_everything() -> Result<()> {
    let mut daemon = daemon()?;
    if is_dockerd(&daemon, "it has no import of volumes") {
        return Ok(());
    }
    let rounds = match std::env::var_os("ONGGI_FULL") {
        Some(_) => 25,
        None => 5,
    };
    let layer = Layer::new(
        &(0..20)
            .map(|n| Entry::File(format!("f{n}"), 0o644, noise(5000)))
            .collect::<Vec<_>>(),
    )?;
    let shared = Shared::default();
    for round in 0..rounds {
        let done = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..4)
            .map(|kind| {
                let (api, shared, done) = (daemon.api(), shared.clone(), done.clone());
                let tar = layer.tar().to_vec();
                std::thread::spawn(move || work(&api, kind, round, &tar, &shared, &done).is_none())
            })
            .collect();
        let enough = 5 + 7 * round % 23;
        wait_until("some work to be done", LIMIT, || {
            (done.load(Ordering::Relaxed) >= enough).then_some(())
        })?;
        daemon.kill()?;
        for worker in workers {
            ensure!(worker.join().is_ok(), "a worker panicked");
        }
        daemon.run()?;
        let there: BTreeSet<String> = names(&daemon)?.into_iter().collect();
        let told = shared.lock().ok().context("a worker panicked")?;
        for name in &told.there {
            ensure!(
                there.contains(name),
                "round {round}: {name} was there, and is not"
            );
        }
        for name in &told.gone {
            ensure!(!there.contains(name), "round {round}: {name} is back");
        }
        let place = daemon.data_root().join("volumes");
        for name in there.iter().filter(|name| name.starts_with("k1-")) {
            let files = fs::read_dir(place.join(name).join("_data"))?.count();
            ensure!(files == 20, "round {round}: {name} has {files} files");
        }
        for n in 0..200 {
            let both = ["", "-new"].map(|end| there.contains(&format!("k2-{round}-{n}{end}")));
            ensure!(both != [true, true], "round {round}: {n} has two names");
        }
        let directories: BTreeSet<String> = fs::read_dir(&place)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        ensure!(
            directories == there,
            "round {round}: {directories:?} are not {there:?}"
        );
        let check = daemon.cli(&["system", "check"])?;
        ensure!(check.code == 0, "round {round}: {check:?}");
    }
    daemon.clean()
}
