//! The storage on a real disk: what is shared, what is durable, what goes and what stays.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use onggi_model::Timestamp;
use onggi_oci::image::media_type;
use serde_json::json;

use super::*;
use crate::document::Document;

struct Fixture {
    folder: tempfile::TempDir,
    storage: Storage,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path()).unwrap();
    Fixture { folder, storage }
}

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

fn sha256(bytes: &[u8]) -> Digest {
    digest_of(Algorithm::Sha256, bytes).unwrap()
}

fn policy(grace: Duration, untagged: Option<Duration>) -> Policy {
    Policy {
        grace,
        untagged,
        uploads: Duration::from_secs(3600),
    }
}

impl Fixture {
    fn repository(&self, text: &str) -> Arc<Repository> {
        self.storage.make(&name(text)).unwrap()
    }

    fn blob(&self, repository: &Repository, bytes: &[u8]) -> Digest {
        let (path, _) = self.storage.temporary().unwrap();
        std::fs::write(&path, bytes).unwrap();
        let digest = sha256(bytes);
        self.storage.adopt(repository, &path, &digest).unwrap();
        digest
    }

    /// An image of these blobs; the first is its configuration.
    fn manifest(
        &self,
        repository: &Repository,
        blobs: &[&Digest],
        tag: Option<&str>,
    ) -> (Digest, Put) {
        let pointer = |digest: &&Digest| json!({"mediaType": "x/y", "digest": digest, "size": 1});
        let layers: Vec<_> = blobs[1..].iter().map(pointer).collect();
        let text =
            json!({"schemaVersion": 2, "config": pointer(&blobs[0]), "layers": layers}).to_string();
        self.put(repository, &text, tag)
    }

    fn put(&self, repository: &Repository, text: &str, tag: Option<&str>) -> (Digest, Put) {
        let document = Document::parse(text.as_bytes(), None).unwrap();
        let digest = sha256(text.as_bytes());
        let put = repository.put(&digest, text.as_bytes(), &document, tag, Check::Everything);
        (digest, put.unwrap())
    }

    fn pooled(&self, digest: &Digest) -> bool {
        files::blob(self.folder.path(), digest).is_file()
    }

    fn has(&self, repository: &Repository, digest: &Digest) -> bool {
        files::blob(repository.folder(), digest).is_file()
    }
}

#[test]
fn equal_blobs_are_one_file_and_each_repository_has_its_own() {
    let f = fixture();
    let (a, b, c) = (
        f.repository("a"),
        f.repository("a/blobs"),
        f.repository("c"),
    );
    let digest = f.blob(&a, b"hello");
    assert!(b.blob(&digest).unwrap().is_none());
    assert_eq!(f.blob(&b, b"hello"), digest);
    let (file, size) = b.blob(&digest).unwrap().unwrap();
    assert_eq!((size, file.metadata().unwrap().nlink()), (5, 3));
    assert!(c.mount(&a, &digest).unwrap());
    assert!(!c.mount(&a, &sha256(b"other")).unwrap());
    assert_eq!(file.metadata().unwrap().nlink(), 4);
    assert!(
        std::fs::read_dir(f.folder.path().join("tmp"))
            .unwrap()
            .next()
            .is_none()
    );
    // What was put into the storage is there for the next process, and this one has the lock.
    assert!(matches!(
        Storage::open(f.folder.path()),
        Err(Error::Locked(_))
    ));
    drop((a, b, c));
    let Fixture { folder, storage } = f;
    drop(storage);
    let storage = Storage::open(folder.path()).unwrap();
    assert_eq!(
        storage.names().unwrap(),
        [name("a"), name("a/blobs"), name("c")]
    );
    assert!(
        storage
            .find(&name("c"))
            .unwrap()
            .unwrap()
            .blob(&digest)
            .unwrap()
            .is_some()
    );
    assert!(storage.find(&name("d")).unwrap().is_none());
}

#[test]
fn a_manifest_needs_what_it_names() {
    let f = fixture();
    let a = f.repository("a");
    let config = f.blob(&a, b"config");
    let absent = sha256(b"absent");
    let (digest, put) = f.manifest(&a, &[&config, &absent], Some("v1"));
    assert_eq!(put, Put::Missing(vec![absent]));
    assert!(a.index().is_empty() && a.index().tag("v1").is_none() && !f.has(&a, &digest));
    let (digest, put) = f.manifest(&a, &[&config], Some("v1"));
    assert_eq!((put, a.index().tag("v1")), (Put::Done, Some(&digest)));
    // A blob that is no manifest of the repository does not make an index whole.
    let list =
        json!({"schemaVersion": 2, "manifests": [{"digest": config, "size": 6}]}).to_string();
    assert_eq!(f.put(&a, &list, None).1, Put::Missing(vec![config.clone()]));
    let list =
        json!({"schemaVersion": 2, "manifests": [{"digest": digest, "size": 6}]}).to_string();
    let (index, put) = f.put(&a, &list, None);
    assert_eq!(put, Put::Done);
    // What something else needs cannot be taken away.
    assert_eq!(
        a.remove_blob(&config).unwrap(),
        Removal::Held(digest.clone())
    );
    assert_eq!(
        a.remove_manifest(&digest).unwrap(),
        Removal::Held(index.clone())
    );
    assert_eq!(a.remove_manifest(&index).unwrap(), Removal::Done);
    assert_eq!(a.remove_manifest(&index).unwrap(), Removal::Absent);
    assert_eq!(a.remove_manifest(&digest).unwrap(), Removal::Done);
    assert!(a.index().tag("v1").is_none());
    assert_eq!(a.remove_blob(&config).unwrap(), Removal::Done);
    assert_eq!(a.remove_blob(&config).unwrap(), Removal::Absent);
}

#[test]
fn collection_takes_what_nothing_held_for_the_whole_grace() {
    let f = fixture();
    let (a, b) = (f.repository("a"), f.repository("b"));
    let policy = policy(Duration::from_secs(60), None);
    let config = f.blob(&a, b"config");
    let (manifest, _) = f.manifest(&a, &[&config], Some("v1"));
    let (asked, pushed, dead) = (
        f.blob(&a, b"asked"),
        f.blob(&a, b"pushed"),
        f.blob(&a, b"dead"),
    );
    let shared = f.blob(&a, b"shared");
    f.blob(&b, b"shared");
    f.manifest(&b, &[&shared], Some("v1"));
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(
        f.storage.collect(&policy, at(0)).unwrap(),
        Collected::default()
    );
    assert_eq!(
        f.storage.collect(&policy, at(59)).unwrap(),
        Collected::default()
    );
    // Asked for, as a client does that wants to leave out the upload; pushed again; and held by a manifest.
    assert!(a.blob(&asked).unwrap().is_some());
    f.blob(&a, b"pushed");
    let collected = f.storage.collect(&policy, at(61)).unwrap();
    assert_eq!((collected.blobs, collected.files), (2, 1));
    assert!(!f.has(&a, &dead) && !f.pooled(&dead));
    assert!(!f.has(&a, &shared) && f.pooled(&shared) && f.has(&b, &shared));
    for live in [&config, &asked, &pushed] {
        assert!(f.has(&a, live) && f.pooled(live), "{live}");
    }
    assert!(f.has(&a, &manifest));
    // The push goes on with what it was told is there.
    assert_eq!(f.manifest(&a, &[&asked, &pushed], Some("v2")).1, Put::Done);
    let collected = f.storage.collect(&policy, at(1000)).unwrap();
    assert_eq!((collected.blobs, collected.files), (0, 0));
    a.remove_tag("v1").unwrap();
    f.storage.collect(&policy, at(2000)).unwrap();
    f.storage.collect(&policy, at(3000)).unwrap();
    assert!(f.has(&a, &config) && a.index().manifest(&manifest).is_some());
    a.remove_manifest(&manifest).unwrap();
    f.storage.collect(&policy, at(4000)).unwrap();
    let collected = f.storage.collect(&policy, at(5000)).unwrap();
    assert_eq!((collected.blobs, collected.files), (2, 1));
    assert!(!f.has(&a, &config) && !f.has(&a, &manifest));
}

#[test]
fn untagged_manifests_go_by_policy() {
    let f = fixture();
    let a = f.repository("a");
    let config = f.blob(&a, b"config");
    let (child, _) = f.manifest(&a, &[&config], None);
    let list = json!({"schemaVersion": 2, "manifests": [{"digest": child, "size": 6}]}).to_string();
    let (index, _) = f.put(&a, &list, Some("latest"));
    let other = f.blob(&a, b"other");
    let note = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": {"digest": other, "size": 1}, "layers": [], "subject": {"digest": index, "size": 1}});
    let (note, _) = f.put(&a, &note.to_string(), None);
    let keep = policy(Duration::from_secs(60), None);
    let sweep = policy(Duration::from_secs(60), Some(Duration::ZERO));
    let now = Instant::now();
    // Held by an index with a tag, or speaking about it: stays.
    assert_eq!(f.storage.collect(&sweep, now).unwrap().manifests, 0);
    a.remove_tag("latest").unwrap();
    assert_eq!(f.storage.collect(&keep, now).unwrap().manifests, 0);
    let old = policy(Duration::from_secs(60), Some(Duration::from_secs(3600)));
    assert_eq!(f.storage.collect(&old, now).unwrap().manifests, 0);
    assert!(a.index().manifest(&index).unwrap().untagged.unwrap() <= Timestamp::now());
    assert_eq!(f.storage.collect(&sweep, now).unwrap().manifests, 3);
    assert!(a.index().is_empty() && a.index().manifest(&note).is_none());
}

/// Pushers and the collector at once, with no grace at all: a manifest is refused or whole, never half.
#[test]
fn collection_beside_pushes_never_leaves_half_a_manifest() {
    let f = fixture();
    let policy = policy(Duration::ZERO, None);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..4)
            .map(|thread| {
                let f = &f;
                scope.spawn(move || {
                    let repository = f.repository(["a", "b"][thread % 2]);
                    for round in 0..40 {
                        let one = f.blob(&repository, format!("shared {}", round % 5).as_bytes());
                        let two = f.blob(&repository, format!("own {thread} {round}").as_bytes());
                        let tag = format!("t{thread}-{round}");
                        // Refused when it was collected in between: begin again, as a client does.
                        let _ = f.manifest(&repository, &[&one, &two], Some(&tag)).1;
                    }
                })
            })
            .collect();
        let collector = scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                f.storage.collect(&policy, Instant::now()).unwrap();
            }
        });
        for pusher in pushers {
            pusher.join().unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        collector.join().unwrap();
    });
    f.storage.collect(&policy, Instant::now()).unwrap();
    for name in f.storage.names().unwrap() {
        let repository = f.storage.find(&name).unwrap().unwrap();
        let index = repository.index();
        for (manifest, _) in index.manifests() {
            for blob in repository.document(&index, manifest).unwrap().names() {
                assert!(f.has(&repository, blob), "{name}: {manifest} needs {blob}");
            }
        }
    }
}

#[test]
fn uploads_go_on_after_a_restart_and_expire() {
    let f = fixture();
    let a = name("a");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let add = |storage: &Storage, id: &UploadId, bytes: &'static [u8]| {
        let upload = storage.uploads().find(&a, id).unwrap().unwrap();
        let patience = Duration::from_secs(60);
        let mut appending = runtime.block_on(upload.append(patience)).unwrap().unwrap();
        appending.add(&[bytes::Bytes::from_static(bytes)]).unwrap();
        appending
    };
    let id = f.storage.uploads().begin(&a).unwrap().id().clone();
    drop(add(&f.storage, &id, b"hel"));
    assert!(f.storage.uploads().find(&name("b"), &id).unwrap().is_none());
    let Fixture { folder, storage } = f;
    drop(storage);
    let storage = Storage::open(folder.path()).unwrap();
    assert!(storage.uploads().find(&name("b"), &id).unwrap().is_none());
    assert_eq!(
        storage.uploads().find(&a, &id).unwrap().unwrap().offset(),
        3
    );
    let appending = add(&storage, &id, b"lo");
    let repository = storage.make(&a).unwrap();
    let digest = sha256(b"hello");
    appending.finish(&storage, &repository, &digest).unwrap();
    assert!(repository.blob(&digest).unwrap().is_some());
    assert!(storage.uploads().find(&a, &id).unwrap().is_none());
    // Other bytes than promised: nothing is kept.
    let id = storage.uploads().begin(&a).unwrap().id().clone();
    let refused = add(&storage, &id, b"x").finish(&storage, &repository, &digest);
    assert!(matches!(refused, Err(Error::Digest(_))));
    assert!(storage.uploads().find(&a, &id).unwrap().is_none());
    // SHA-512, which does not run along.
    let id = storage.uploads().begin(&a).unwrap().id().clone();
    let digest = digest_of(Algorithm::Sha512, b"hello").unwrap();
    add(&storage, &id, b"hello")
        .finish(&storage, &repository, &digest)
        .unwrap();
    assert!(repository.blob(&digest).unwrap().is_some());
    // Nobody goes on with it; while somebody writes, it stays.
    let id = storage.uploads().begin(&a).unwrap().id().clone();
    let writing = add(&storage, &id, b"x");
    assert_eq!(
        storage
            .uploads()
            .expire(Duration::ZERO, std::time::SystemTime::now()),
        0
    );
    drop(writing);
    assert_eq!(
        storage
            .uploads()
            .expire(Duration::from_secs(3600), std::time::SystemTime::now()),
        0
    );
    assert_eq!(
        storage
            .uploads()
            .expire(Duration::ZERO, std::time::SystemTime::now()),
        1
    );
    assert!(storage.uploads().find(&a, &id).unwrap().is_none());
    assert_eq!(
        std::fs::read_dir(folder.path().join("uploads"))
            .unwrap()
            .count(),
        0
    );
}
