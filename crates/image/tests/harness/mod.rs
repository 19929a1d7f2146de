//! A store of its own for each test, and what is left in it.

#![allow(dead_code, reason = "each test program uses its part")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use onggi_image::{Error, Images, Progress, Pulled};
use onggi_model::{ImageRef, Platform};
use onggi_registry::{Auth, Client, Config};
use onggi_snapshot::{Driver, Snapshots};
use onggi_store::Store;

pub(crate) struct Harness {
    pub(crate) images: Images,
    pub(crate) store: Store,
    root: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

/// Short pauses: tests wait for conditions, not for clocks.
pub(crate) fn registry_config() -> Config {
    Config {
        backoff: Duration::from_millis(10),
        stall_timeout: Duration::from_secs(2),
        attempts: 3,
        ..Config::default()
    }
}

impl Harness {
    pub(crate) fn new() -> Harness {
        Harness::with(registry_config())
    }

    pub(crate) fn with(config: Config) -> Harness {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        Harness {
            _folder: Some(folder),
            ..Harness::at(&root, config)
        }
    }

    pub(crate) fn at(root: &Path, config: Config) -> Harness {
        let store = Store::open(root).unwrap();
        let snapshots = Snapshots::open(&store, Driver::Overlay);
        let images = Images::open(store.clone(), snapshots, Client::new(config).unwrap());
        Harness {
            images,
            store,
            root: root.to_owned(),
            _folder: None,
        }
    }

    pub(crate) async fn pull(&self, reference: &str) -> Result<Pulled, Error> {
        self.pull_for(reference, None).await
    }

    pub(crate) async fn pull_for(
        &self,
        reference: &str,
        platform: Option<&str>,
    ) -> Result<Pulled, Error> {
        let reference = ImageRef::parse(reference).unwrap();
        let platform = platform.map(|p| Platform::parse(p).unwrap());
        self.images
            .pull(&reference, platform, &Auth::anonymous(), |_| {})
            .await
    }

    /// A pull and the news of it, one line each.
    pub(crate) async fn pull_told(&self, reference: &str) -> (Result<Pulled, Error>, Vec<String>) {
        let reference = ImageRef::parse(reference).unwrap();
        let news = News::default();
        let sink = news.sink();
        let pulled = self
            .images
            .pull(&reference, None, &Auth::anonymous(), sink)
            .await;
        (pulled, news.lines())
    }

    /// The path of a file in one layer of an image.
    pub(crate) fn file(&self, image: &onggi_image::Image, layer: usize, name: &str) -> PathBuf {
        let record = self
            .store
            .layer(&image.record.layers[layer])
            .unwrap()
            .unwrap();
        self.store.layer_path(&record).join(name)
    }

    /// Blobs, layers and unfinished things on the disk.
    pub(crate) fn left(&self) -> Vec<String> {
        self.store.sweep().unwrap();
        let mut found = Vec::new();
        for (place, fine) in [
            ("blobs/sha256", &[][..]),
            ("blobs/sha512", &[][..]),
            ("layers", &["0"][..]),
            ("tmp", &["trash"][..]),
            ("tmp/trash", &[][..]),
        ] {
            for entry in std::fs::read_dir(self.root.join(place)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if !fine.contains(&name.as_str()) {
                    found.push(format!("{place}/{name}"));
                }
            }
        }
        found
    }

    /// Threads of an abandoned operation clean up behind it: wait for that.
    pub(crate) async fn nothing_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = self.left();
            let images = self.store.images().unwrap().len();
            if left.is_empty() && images == 0 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "left behind: {left:?}, {images} images"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// News as lines.
#[derive(Clone, Default)]
pub(crate) struct News(Arc<Mutex<Vec<String>>>);

impl News {
    pub(crate) fn sink(&self) -> impl Fn(Progress) + Send + Sync + 'static {
        let lines = self.0.clone();
        move |progress| {
            lines.lock().unwrap().push(match progress {
                Progress::Status { id: Some(id), text } => format!("{id}: {text}"),
                Progress::Status { id: None, text } => text,
                Progress::Transfer {
                    id,
                    action,
                    current,
                    total,
                } => {
                    format!("{id}: {action} {current}/{total}")
                }
                Progress::Pushed { tag, digest, size } => format!("aux {tag} {digest} {size}"),
            });
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
