//! What broken transfers leave: it is owned, gone on with, and goes when it is of no use.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use onggi_model::Digest;
use onggi_store::{Depth, Store};

fn digest_of(bytes: &[u8]) -> Digest {
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path())
        .unwrap()
        .put_blob(bytes, None)
        .unwrap()
}

fn path(root: &Path, digest: &Digest) -> PathBuf {
    root.join("partial/sha256").join(digest.hex())
}

/// Writes the beginning of a blob and leaves it.
fn begin(store: &Store, digest: &Digest, bytes: &[u8]) {
    let mut ingest = store.resume(digest, 100).unwrap();
    assert_eq!(ingest.known().unwrap().0, 0);
    ingest.write_all(bytes).unwrap();
    ingest.leave();
}

#[test]
fn it_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let digest = digest_of(b"hello world");
    let store = Store::open(folder.path()).unwrap();
    begin(&store, &digest, b"hello ");
    drop(store);
    // A killed daemon says nothing more than this.
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.partials().unwrap()[0].size, 6);
    assert!(store.check(Depth::Content).unwrap().is_clean());
    let lease = store.lease();
    let mut ingest = store.resume(&digest, 11).unwrap();
    let (known, mut left) = ingest.known().unwrap();
    let mut bytes = Vec::new();
    left.read_to_end(&mut bytes).unwrap();
    assert_eq!((known, bytes.as_slice()), (6, &b"hello "[..]));
    // In one write with what comes: the border is in the middle.
    bytes.extend_from_slice(b"world");
    ingest.write_all(&bytes).unwrap();
    assert_eq!(ingest.commit(Some(&digest)).unwrap(), digest);
    assert_eq!(store.blob_bytes(&digest, 100).unwrap(), b"hello world");
    assert!(store.check(Depth::Content).unwrap().is_clean());
    // Nothing comes of that pull: the next one has the bytes all the same.
    drop(lease);
    assert!(!store.has_blob(&digest).unwrap());
    assert_eq!(store.partials().unwrap()[0].size, 11);
    store.write(|tx| tx.hold_blob(&digest)).unwrap_err();
    let _lease = store.lease();
    let mut ingest = store.resume(&digest, 11).unwrap();
    ingest.write_all(b"hello world").unwrap();
    ingest.commit(Some(&digest)).unwrap();
    // It is the catalogue's now.
    store.write(|tx| tx.hold_blob(&digest)).unwrap();
    assert_eq!(store.partials().unwrap(), []);
    assert_eq!(store.blob_bytes(&digest, 100).unwrap(), b"hello world");
}

#[test]
fn other_content_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let digest = digest_of(b"hello world");
    begin(&store, &digest, b"hello ");
    let mut ingest = store.resume(&digest, 11).unwrap();
    ingest.write_all(b"hello there").unwrap();
    ingest.commit(Some(&digest)).unwrap_err();
    assert_eq!(store.partials().unwrap(), []);
    // One that is dropped without a word had a reason.
    let mut ingest = store.resume(&digest, 11).unwrap();
    ingest.write_all(b"hello").unwrap();
    drop(ingest);
    assert_eq!(store.partials().unwrap(), []);
}

#[test]
fn the_next_transfer_waits_for_the_one_that_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let digest = digest_of(b"hello world");
    let mut first = store.resume(&digest, 11).unwrap();
    let second = std::thread::spawn({
        let (store, digest) = (store.clone(), digest.clone());
        move || store.resume(&digest, 11).unwrap().known().unwrap().0
    });
    assert_eq!(store.discard_partials().unwrap(), 0, "it is being written");
    first.write_all(b"hello ").unwrap();
    first.leave();
    assert_eq!(second.join().unwrap(), 6);
}

#[test]
fn what_is_of_no_use_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let [kept, old, known] = [&b"kept"[..], b"old", b"known"].map(digest_of);
    for digest in [&kept, &old] {
        begin(&store, digest, b"x");
    }
    let lease = store.lease();
    store.put_blob(b"known", None).unwrap();
    store.write(|tx| tx.hold_blob(&known)).unwrap();
    drop(lease);
    drop(store);
    // The catalogue has it: a crash before its second name went.
    std::fs::write(path(folder.path(), &known), b"known").unwrap();
    std::fs::write(folder.path().join("partial/sha256/strange"), b"?").unwrap();
    let file = std::fs::File::options()
        .write(true)
        .open(path(folder.path(), &old))
        .unwrap();
    let weeks = Duration::from_secs(14 * 24 * 3600);
    file.set_modified(SystemTime::now() - weeks).unwrap();
    let store = Store::open(folder.path()).unwrap();
    let left = store.partials().unwrap();
    assert_eq!(left.iter().map(|p| &p.digest).collect::<Vec<_>>(), [&kept]);
    // While the daemon runs, what is strange is told.
    std::fs::write(folder.path().join("partial/sha256/strange"), b"?").unwrap();
    std::fs::write(path(folder.path(), &known), b"known").unwrap();
    let report = store.check(Depth::Names).unwrap();
    let orphans = report
        .problems
        .iter()
        .filter(|p| p.to_string().contains("partial"));
    assert_eq!(orphans.count(), 2, "{:?}", report.problems);
}
