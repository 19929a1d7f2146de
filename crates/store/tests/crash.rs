//! `kill -9` at random moments: whatever was said to be there is there, whole; what was said to be gone is gone; nothing
//! else lies around.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use onggi_oci::image::{Descriptor, Platform};
use onggi_store::{ChainId, Depth, ImageRecord, RootRecord, Store, Sweeper};

const CHILD: &str = "ONGGI_TEST_CRASH_CHILD";
const ROUNDS: u64 = 40;

/// Small, repeatable, good enough to choose moments.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Puts and removes images and containers for ever, and says before and after each what it does.
fn work(root: &Path, seed: u64) {
    let store = Store::open(root).unwrap();
    let _sweeper = Sweeper::start(&store).unwrap();
    let mut random = Random(seed | 1);
    let mut out = std::io::stdout();
    let mut say = |text: String| {
        writeln!(out, "@ {text}").unwrap();
        out.flush().unwrap();
    };
    say("ready".to_owned());
    loop {
        let number = random.next() % 6;
        let name = format!("docker.io/library/i{number}:latest");
        match store.reference(&name).unwrap() {
            Some(id) if random.next().is_multiple_of(2) => {
                say(format!("removing {number}"));
                store.remove_image(&id).unwrap();
                say(format!("removed {number}"));
            }
            Some(id) => {
                let top = store.image(&id).unwrap().unwrap().layers.pop();
                let container = format!("c{number}");
                if store.root(&container).unwrap().is_some() {
                    store.write(|tx| tx.remove_root(&container)).unwrap();
                } else {
                    let upper = store.container_path(&container).join("upper");
                    std::fs::create_dir_all(upper).unwrap();
                    let root = RootRecord {
                        top,
                        driver: "overlay2".to_owned(),
                    };
                    store.write(|tx| tx.put_root(&container, &root)).unwrap();
                }
            }
            None => {
                let lease = store.lease();
                let mut layers: Vec<ChainId> = Vec::new();
                let mut blobs = BTreeSet::new();
                // The first layer is shared by all images.
                for part in [100, number, number + 10] {
                    let mut ingest = store.ingest().unwrap();
                    for _ in 0..16 {
                        ingest.write_all(&[part as u8; 4096]).unwrap();
                    }
                    let diff_id = ingest.commit(None).unwrap();
                    let layer = store.stage_layer().unwrap();
                    for file in 0..20 {
                        let text = format!("{part}/{file}").repeat(50);
                        std::fs::write(layer.path().join(file.to_string()), text).unwrap();
                    }
                    let layer = store
                        .commit_layer(layer, layers.last(), &diff_id, 20)
                        .unwrap();
                    layers.push(layer.chain_id);
                    blobs.insert(diff_id);
                }
                let id = store
                    .put_blob(format!("config {number}").as_bytes(), None)
                    .unwrap();
                let manifest = store
                    .put_blob(format!("manifest {number}").as_bytes(), None)
                    .unwrap();
                say(format!("putting {number}"));
                store
                    .put_image(&ImageRecord {
                        id,
                        target: Descriptor::new("x", manifest.clone(), 1),
                        manifest,
                        layers,
                        blobs,
                        references: BTreeSet::from([name]),
                        repo_digests: BTreeSet::new(),
                        size: 60,
                        created: None,
                        platform: Platform::default(),
                        tagged: None,
                        parent: None,
                    })
                    .unwrap();
                say(format!("put {number}"));
                drop(lease);
            }
        }
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_left_after_kill() {
    if let Some(arguments) = std::env::var_os(CHILD) {
        let arguments = arguments.into_string().unwrap();
        let (seed, root) = arguments.split_once(' ').unwrap();
        work(Path::new(root), seed.parse().unwrap());
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("data");
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ u64::from(std::process::id()));
    // By number: Some(true) must be there, Some(false) must not, None may be either.
    let mut expected: [Option<bool>; 6] = [Some(false); 6];
    let mut changes = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "nothing_is_lost_and_nothing_is_left_after_kill",
                "--nocapture",
            ])
            .env(CHILD, format!("{} {}", random.next(), root.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = |line: &str, expected: &mut [Option<bool>; 6]| {
            // The harness of the child prints too, perhaps on the same line.
            let Some((_, line)) = line.split_once("@ ") else {
                return false;
            };
            let mut words = line.split(' ');
            let (verb, number) = (words.next().unwrap(), words.next());
            let Some(number) = number.and_then(|number| number.parse::<usize>().ok()) else {
                return verb == "ready";
            };
            expected[number] = match verb {
                "put" => Some(true),
                "removed" => Some(false),
                _ => None,
            };
            true
        };
        loop {
            let line = lines.next().expect("the child ended by itself").unwrap();
            if told(&line, &mut expected) {
                break;
            }
        }
        // Some rounds right at the start, some in the middle of things: after so many announcements, however long the
        // disk takes for them, and then a little later.
        for _ in 0..random.next() % 8 {
            let line = lines.next().expect("the child ended by itself").unwrap();
            changes += usize::from(told(&line, &mut expected));
        }
        let moment = Instant::now() + Duration::from_micros(random.next() % 20_000);
        let killer = std::thread::spawn(move || {
            while Instant::now() < moment {
                std::thread::yield_now();
            }
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in lines {
            changes += usize::from(told(&line.unwrap(), &mut expected));
        }
        killer.join().unwrap();

        let store = Store::open(&root).unwrap();
        let report = store.check(Depth::Content).unwrap();
        assert!(report.is_clean(), "round {round}: {:?}", report.problems);
        for (number, expected) in expected.iter_mut().enumerate() {
            let name = format!("docker.io/library/i{number}:latest");
            let found = store.reference(&name).unwrap();
            if let Some(wanted) = *expected {
                assert_eq!(found.is_some(), wanted, "round {round}: image {number}");
            }
            *expected = Some(found.is_some());
            let Some(id) = found else { continue };
            let image = store.image(&id).unwrap().unwrap();
            for (layer, part) in image.layers.iter().zip([100, number, number + 10]) {
                let record = store.layer(layer).unwrap().unwrap();
                for file in 0..20 {
                    let path = store.layer_path(&record).join(file.to_string());
                    assert_eq!(
                        std::fs::read_to_string(path).unwrap(),
                        format!("{part}/{file}").repeat(50)
                    );
                }
            }
        }
        store.sweep().unwrap();
        let count = |path: &str| std::fs::read_dir(root.join(path)).unwrap().count() as u64;
        assert_eq!((count("tmp"), count("tmp/trash")), (1, 0), "round {round}");
        let usage = store.usage().unwrap();
        assert_eq!(count("layers"), usage.layers + 1, "round {round}");
        assert_eq!(count("blobs/sha256"), usage.blobs, "round {round}");
        assert_eq!(count("containers"), usage.roots, "round {round}");
    }
    assert!(
        changes > 2 * ROUNDS as usize,
        "only {changes} changes in all rounds"
    );
}
