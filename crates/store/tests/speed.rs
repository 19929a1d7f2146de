//! What a change and an opening cost; not a test of time: run by hand with `--ignored --nocapture`, in release.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::time::Instant;

use onggi_store::{Record, RootRecord, Store};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Container {
    document: String,
}

impl Record for Container {
    const TABLE: &'static str = "container";
}

#[test]
#[ignore = "a measurement"]
fn changes_and_openings() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("data");
    let mut out = std::io::stdout();
    let start = Instant::now();
    let store = Store::open(&root).unwrap();
    writeln!(out, "open, new: {:?}", start.elapsed()).unwrap();
    let document = Container {
        document: "x".repeat(6000),
    };
    for goal in [200, 1000, 5000] {
        let start = Instant::now();
        let mut count = 0;
        while (store.usage().unwrap().roots) < goal {
            let id = format!("{:064x}", store.usage().unwrap().roots);
            std::fs::create_dir_all(store.container_path(&id)).unwrap();
            let root = RootRecord {
                top: None,
                driver: "overlay2".to_owned(),
            };
            store
                .write(|tx| {
                    tx.put_root(&id, &root)?;
                    tx.put(&id, &document)
                })
                .unwrap();
            count += 1;
        }
        writeln!(out, "{goal}: a change {:?}", start.elapsed() / count).unwrap();
        // As a kill leaves it: a copy of the file while it is open.
        let copy = place.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(root.join("catalogue.redb"), copy.join("catalogue.redb")).unwrap();
        let size = std::fs::metadata(copy.join("catalogue.redb"))
            .unwrap()
            .len();
        let start = Instant::now();
        let opened = Store::open(&copy).unwrap();
        writeln!(
            out,
            "{goal}: open after a kill {:?}, {size} bytes",
            start.elapsed()
        )
        .unwrap();
        drop(opened);
        let start = Instant::now();
        let opened = Store::open(&copy).unwrap();
        writeln!(out, "{goal}: open after a clean end {:?}", start.elapsed()).unwrap();
        let start = Instant::now();
        let all = opened.read(|tx| tx.list::<Container>()).unwrap();
        writeln!(out, "{goal}: list of {} {:?}", all.len(), start.elapsed()).unwrap();
        drop(opened);
        std::fs::remove_dir_all(copy).unwrap();
    }
}
