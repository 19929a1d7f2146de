//! Everything that can be wrong with a store, made on purpose: found, told, and put right.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use onggi_model::Digest;
use onggi_oci::image::{Descriptor, Platform};
use onggi_store::{ChainId, Depth, Error, ImageRecord, Problem, RootRecord, Store};

/// A store with one image of one layer, whose compressed form is kept, and a container on it.
struct Kept {
    store: Store,
    image: Digest,
    blob: Digest,
    layer: ChainId,
    folder: tempfile::TempDir,
}

const NAME: &str = "docker.io/library/app:latest";

fn kept() -> Kept {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data")).unwrap();
    let _lease = store.lease();
    let blob = store.put_blob(b"compressed", None).unwrap();
    let image = store.put_blob(b"configuration", None).unwrap();
    let manifest = store.put_blob(b"manifest", None).unwrap();
    let staged = store.stage_layer().unwrap();
    std::fs::write(staged.path().join("file"), "content").unwrap();
    let layer = store.commit_layer(staged, None, &blob, 7).unwrap().chain_id;
    let record = ImageRecord {
        id: image.clone(),
        target: Descriptor::new("application/json", manifest.clone(), 8),
        manifest,
        layers: vec![layer.clone()],
        blobs: BTreeSet::from([blob.clone()]),
        references: BTreeSet::from([NAME.to_owned()]),
        repo_digests: BTreeSet::new(),
        size: 7,
        created: None,
        platform: Platform::default(),
        tagged: None,
        parent: None,
    };
    store.put_image(&record).unwrap();
    Kept {
        store: store.clone(),
        image,
        blob,
        layer,
        folder,
    }
}

/// What a check finds, and what a repair does about it; afterwards nothing is wrong.
fn repaired(kept: &Kept, lost: &BTreeSet<ChainId>) -> (Vec<Problem>, String) {
    let report = kept.store.check(Depth::Content).unwrap();
    let done = kept.store.repair(&report, lost).unwrap();
    let after = kept.store.check(Depth::Content).unwrap();
    assert!(after.is_clean(), "{:?} after {done:?}", after.problems);
    let again = kept.store.repair(&after, &BTreeSet::new()).unwrap();
    assert!(again.is_empty(), "{again:?}");
    (report.problems, done.join("\n"))
}

fn nothing() -> BTreeSet<ChainId> {
    BTreeSet::new()
}

#[test]
fn a_store_that_is_whole_is_left_alone() {
    let kept = kept();
    let (problems, done) = repaired(&kept, &nothing());
    assert!(problems.is_empty() && done.is_empty());
    assert_eq!(kept.store.images().unwrap().len(), 1);
}

#[test]
fn what_is_being_written_is_no_orphan() {
    let kept = kept();
    let blob = kept.store.ingest().unwrap();
    let layer = kept.store.stage_layer().unwrap();
    kept.store.expect_container("made");
    std::fs::create_dir(kept.store.container_path("made")).unwrap();
    assert!(kept.store.check(Depth::Names).unwrap().is_clean());
    drop((blob, layer));
    kept.store.container_is_settled("made");
    assert_eq!(
        kept.store.check(Depth::Names).unwrap().problems,
        [Problem::Orphan(kept.store.container_path("made"))]
    );
}

#[test]
fn orphans_go_wherever_they_are() {
    let kept = kept();
    let root = kept.store.path().to_owned();
    let orphans = [
        "blobs/sha256/strange",
        "blobs/sha512/strange",
        "layers/strange",
        "layers/99",
        "containers/strange",
        "tmp/strange",
        "partial/sha256/strange",
    ];
    for path in orphans {
        std::fs::write(root.join(path), "orphan").unwrap();
    }
    let (problems, done) = repaired(&kept, &nothing());
    assert_eq!(problems.len(), orphans.len(), "{problems:?}");
    for path in orphans {
        assert!(
            problems.contains(&Problem::Orphan(root.join(path))),
            "{path}"
        );
        assert!(done.contains(path) && !root.join(path).exists(), "{path}");
    }
}

#[test]
fn a_broken_layer_blob_is_put_aside_and_asked_for_again() {
    type Breaking = fn(&Path);
    let breakings: [Breaking; 3] = [
        |path| std::fs::write(path, "Compressed").unwrap(),
        |path| std::fs::write(path, "short").unwrap(),
        |path| std::fs::remove_file(path).unwrap(),
    ];
    for (number, breaking) in breakings.into_iter().enumerate() {
        let kept = kept();
        assert!(!kept.store.is_incomplete(&kept.image).unwrap());
        breaking(&kept.store.blob_path(&kept.blob));
        let (problems, done) = repaired(&kept, &nothing());
        assert_eq!(problems.len(), 1, "{number}: {problems:?}");
        let aside = format!("quarantine/sha256-{}", kept.blob.hex());
        assert_eq!(kept.store.path().join(aside).exists(), number < 2, "{done}");
        // The image is there and can be used, and a pull knows that it is not all.
        let image = kept.store.image(&kept.image).unwrap().unwrap();
        assert!(image.blobs.is_empty());
        assert!(kept.store.is_incomplete(&kept.image).unwrap());
        assert!(!kept.store.has_blob(&kept.blob).unwrap());
        let _lease = kept.store.lease();
        kept.store.put_blob(b"compressed", None).unwrap();
        let blobs = BTreeSet::from([kept.blob.clone()]);
        kept.store
            .put_image(&ImageRecord { blobs, ..image })
            .unwrap();
        assert!(!kept.store.is_incomplete(&kept.image).unwrap());
        assert!(kept.store.check(Depth::Content).unwrap().is_clean());
    }
}

#[test]
fn an_image_without_its_documents_goes() {
    let kept = kept();
    std::fs::write(kept.store.blob_path(&kept.image), "Configuration").unwrap();
    let (problems, done) = repaired(&kept, &nothing());
    assert_eq!(problems, [Problem::Content(kept.image.clone())]);
    assert!(done.contains(NAME), "{done}");
    assert!(kept.store.images().unwrap().is_empty());
    assert_eq!(kept.store.reference(NAME).unwrap(), None);
    assert_eq!(kept.store.usage().unwrap(), Default::default());
}

#[test]
fn a_lost_layer_takes_its_images_but_not_what_containers_stand_on() {
    let kept = kept();
    let root = RootRecord {
        top: Some(kept.layer.clone()),
        driver: "overlay2".to_owned(),
    };
    std::fs::create_dir(kept.store.container_path("c")).unwrap();
    kept.store.write(|tx| tx.put_root("c", &root)).unwrap();
    let lost = BTreeSet::from([kept.layer.clone()]);
    let (_, done) = repaired(&kept, &lost);
    assert!(done.contains(NAME), "{done}");
    assert!(kept.store.has_layer(&kept.layer).unwrap());
    kept.store.write(|tx| tx.remove_root("c")).unwrap();
    assert!(!kept.store.has_layer(&kept.layer).unwrap());
}

#[test]
fn counts_are_made_anew() {
    let kept = kept();
    // Held by nobody that is on record.
    kept.store
        .write(|tx| {
            tx.hold_blob(&kept.blob)?;
            tx.hold_layer(&kept.layer)
        })
        .unwrap();
    let (problems, done) = repaired(&kept, &nothing());
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(done.contains("2 counts"), "{done}");
    kept.store.remove_image(&kept.image).unwrap();
    assert_eq!(kept.store.usage().unwrap(), Default::default());
}

#[test]
fn a_layer_is_put_into_the_place_of_a_broken_one() {
    let kept = kept();
    let record = kept.store.layer(&kept.layer).unwrap().unwrap();
    let path = kept.store.layer_path(&record);
    std::fs::remove_dir_all(&path).unwrap();
    let report = kept.store.check(Depth::Names).unwrap();
    assert_eq!(report.problems, [Problem::Missing(path.clone())]);
    let staged = kept.store.stage_layer().unwrap();
    std::fs::write(staged.path().join("file"), "content").unwrap();
    kept.store.replace_layer(&kept.layer, staged).unwrap();
    assert_eq!(std::fs::read(path.join("file")).unwrap(), b"content");
    assert!(kept.store.check(Depth::Content).unwrap().is_clean());
}

#[test]
fn a_store_without_its_catalogue_is_not_begun_anew() {
    let Kept { store, folder, .. } = kept();
    drop(store);
    let root = folder.path().join("data");
    let catalogue = root.join("catalogue.redb");
    let whole = std::fs::read(&catalogue).unwrap();
    for empty in [true, false, false] {
        match empty {
            true => std::fs::write(&catalogue, "").unwrap(),
            false => std::fs::remove_file(&catalogue).unwrap(),
        }
        // Nor the second time.
        for _ in 0..2 {
            let refused = Store::open(&root).unwrap_err();
            assert!(matches!(refused, Error::Lost { .. }), "{refused}");
        }
    }
    std::fs::write(&catalogue, whole).unwrap();
    let store = Store::open(&root).unwrap();
    assert_eq!(store.images().unwrap().len(), 1);
    assert_eq!(store.layers().unwrap().len(), 1);
}
