//! Registries whose content is fetched when somebody asks for it, and kept.
//!
//! Tags are believed for a while, then looked at again with a HEAD; while the upstream is away, what is here is served.
//! Pulls of the same thing at the same time share one fetch: they read the file as it grows.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use http::StatusCode;
use onggi_model::{Digest, ErrorKind, Fault, ImageRef, chain};
use onggi_oci::distribution::code;
use onggi_oci::image::Descriptor;
use onggi_registry::{Auth, Chunk, Client, Document as Fetched, Source, Verify};
use tokio::sync::watch;

use crate::config;
use crate::document::Document;
use crate::name::{Reference, RepositoryName};
use crate::refusal::{self, Refusal};
use crate::storage::{Check, Put, Repository, Storage};
use crate::stream::Progress;

/// How long an upstream that did not answer is left alone.
const BREATH: Duration = Duration::from_secs(15);
/// Tags whose last look is remembered.
const REMEMBERED: usize = 16 * 1024;

/// The right to ask for one thing.
type Turn = tokio::sync::Mutex<()>;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Upstreams(Vec<Arc<Upstream>>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Upstream {
    prefix: String,
    host: String,
    client: Client,
    auth: Auth,
    ttl: Duration,
    /// Until when a tag is believed.
    believed: Mutex<HashMap<(RepositoryName, String), Instant>>,
    /// Who asks for a manifest just now.
    asking: Mutex<HashMap<(RepositoryName, String), Weak<Turn>>>,
    flights: Mutex<HashMap<(RepositoryName, Digest), Arc<Flight>>>,
}

/// A blob on its way here.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) file: Arc<File>,
    pub(crate) size: u64,
    pub(crate) progress: watch::Sender<Progress>,
}

impl Upstreams {
    /// Clients for all of them.
    ///
    /// # Errors
    /// The text for the user.
    pub(crate) fn open(list: &[config::Upstream]) -> Result<Upstreams, String> {
        let open = |upstream| Upstream::open(upstream).map(Arc::new);
        let mut list = list.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        // The longest prefix that fits is meant.
        list.sort_by_key(|upstream| std::cmp::Reverse(upstream.prefix.len()));
        Ok(Upstreams(list))
    }

    /// Whose repository this is, and what it is called there.
    pub(crate) fn find<'a>(&self, name: &'a RepositoryName) -> Option<(&Arc<Upstream>, &'a str)> {
        self.0.iter().find_map(|upstream| {
            let name = name.as_str();
            let rest = match upstream.prefix.as_str() {
                "" => Some(name),
                prefix => name.strip_prefix(prefix)?.strip_prefix('/'),
            };
            rest.map(|path| (upstream, path))
        })
    }
}

impl Upstream {
    fn open(upstream: &config::Upstream) -> Result<Upstream, String> {
        let host = upstream.url.host_str().unwrap_or_default();
        let host = match upstream.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let lax = upstream.insecure || upstream.url.scheme() == "http";
        let client = Client::new(onggi_registry::Config {
            insecure: lax.then(|| host.clone()).into_iter().collect(),
            certificates: upstream.certificates.iter().cloned().collect(),
            user_agent: concat!("onggi-registry/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..onggi_registry::Config::default()
        });
        let auth = match upstream.username.as_str() {
            "" => Auth::anonymous(),
            user => Auth::basic(user, upstream.password.expose().clone()),
        };
        Ok(Upstream {
            prefix: upstream.prefix.clone(),
            client: client.map_err(|error| chain(&error))?,
            host,
            auth,
            ttl: upstream.ttl,
            believed: Mutex::default(),
            asking: Mutex::default(),
            flights: Mutex::default(),
        })
    }

    /// Its host, for messages.
    pub(crate) fn shown(&self) -> &str {
        &self.host
    }

    fn image(&self, path: &str, reference: &Reference) -> Result<ImageRef, Refusal> {
        let text = match reference {
            Reference::Tag(tag) => format!("{}/{path}:{tag}", self.host),
            Reference::Digest(digest) => format!("{}/{path}@{digest}", self.host),
        };
        ImageRef::parse(&text).map_err(|error| Refusal::bad(code::NAME_INVALID, chain(&error)))
    }

    /// Makes sure that the manifest is here, and that the tag leads where it leads there.
    ///
    /// # Errors
    /// 404 when the upstream has no such thing, 502 when it does not answer and nothing is here.
    pub(crate) async fn refresh(
        &self,
        storage: &Arc<Storage>,
        name: &RepositoryName,
        path: &str,
        reference: &Reference,
    ) -> Result<(), Refusal> {
        if self.is_here(storage, name, reference).await? == Here::Good {
            return Ok(());
        }
        let key = (name.clone(), reference.to_string());
        let turn = self.turn(&key);
        let _turn = turn.lock().await;
        // Somebody may have asked while we waited.
        let here = self.is_here(storage, name, reference).await?;
        if here == Here::Good {
            return Ok(());
        }
        match self.ask(storage, name, path, reference).await {
            Ok(()) => {
                self.believe(key, self.ttl);
                Ok(())
            }
            Err(error) if here == Here::Stale && error.status != StatusCode::NOT_FOUND => {
                tracing::warn!(upstream = self.host, repository = %name, %reference, "served as it was: the upstream does not answer");
                self.believe(key, BREATH.min(self.ttl.max(Duration::from_secs(1))));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn is_here(
        &self,
        storage: &Arc<Storage>,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Here, Refusal> {
        let (storage, wanted) = (storage.clone(), name.clone());
        let found = onggi_rt::blocking("open repository", move || storage.find(&wanted)).await??;
        let Some(index) = found.map(|repository| repository.index()) else {
            return Ok(Here::Not);
        };
        let tag = match reference {
            Reference::Digest(digest) => {
                return Ok(match index.manifest(digest) {
                    Some(_) => Here::Good,
                    None => Here::Not,
                });
            }
            Reference::Tag(tag) => tag,
        };
        if index.tag(tag).is_none() {
            return Ok(Here::Not);
        }
        let believed = lock(&self.believed)
            .get(&(name.clone(), tag.clone()))
            .copied();
        Ok(match believed.is_some_and(|until| Instant::now() < until) {
            true => Here::Good,
            false => Here::Stale,
        })
    }

    fn believe(&self, key: (RepositoryName, String), how_long: Duration) {
        let mut believed = lock(&self.believed);
        if believed.len() >= REMEMBERED {
            // They are looked at once more than needed.
            believed.clear();
        }
        believed.insert(key, Instant::now() + how_long);
    }

    fn turn(&self, key: &(RepositoryName, String)) -> Arc<Turn> {
        let mut asking = lock(&self.asking);
        asking.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = asking.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Turn::new(()));
        asking.insert(key.clone(), Arc::downgrade(&turn));
        turn
    }

    async fn ask(
        &self,
        storage: &Arc<Storage>,
        name: &RepositoryName,
        path: &str,
        reference: &Reference,
    ) -> Result<(), Refusal> {
        let image = self.image(path, reference)?;
        let failed = |error| self.failed(&error);
        let resolved = self
            .client
            .resolve(&image, &self.auth)
            .await
            .map_err(failed)?;
        let tag = match reference {
            Reference::Tag(tag) => Some(tag.clone()),
            Reference::Digest(_) => None,
        };
        if let Some(tag) = tag.clone() {
            let (storage, name, digest) = (storage.clone(), name.clone(), resolved.digest.clone());
            let tagged = onggi_rt::blocking("tag manifest", move || match storage.find(&name)? {
                Some(repository) => repository.tag(&tag, &digest),
                None => Ok(false),
            });
            if tagged.await?? {
                return Ok(());
            }
        }
        let document = resolved.document().await.map_err(failed)?;
        self.keep(storage, name, document, tag).await
    }

    async fn keep(
        &self,
        storage: &Arc<Storage>,
        name: &RepositoryName,
        fetched: Fetched,
        tag: Option<String>,
    ) -> Result<(), Refusal> {
        let Fetched {
            bytes,
            media_type,
            digest,
        } = fetched;
        let document = Document::parse(&bytes, media_type.as_deref()).map_err(|error| {
            let message = format!("{} sent what is no manifest: {error}", self.host);
            Refusal::new(StatusCode::BAD_GATEWAY, code::MANIFEST_INVALID, message)
        })?;
        let (storage, name) = (storage.clone(), name.clone());
        let put = onggi_rt::blocking("keep manifest", move || {
            let repository = storage.make(&name)?;
            repository.put(&digest, &bytes, &document, tag.as_deref(), Check::Nothing)
        });
        match put.await?? {
            Put::Done | Put::Missing(_) => Ok(()),
        }
    }

    /// How large a blob is that is not here: what the manifests that are here say.
    ///
    /// # Errors
    /// 404 when none of them names it.
    pub(crate) async fn size(
        &self,
        repository: &Arc<Repository>,
        name: &RepositoryName,
        path: &str,
        digest: &Digest,
    ) -> Result<u64, Refusal> {
        let (held, wanted) = (repository.clone(), digest.clone());
        let found = onggi_rt::blocking("look up size", move || {
            let index = held.index();
            for (manifest, _) in index.manifests() {
                if let Some(size) = held.document(&index, manifest)?.size_of(&wanted) {
                    return Ok(Some(size));
                }
            }
            Ok::<_, crate::storage::Error>(None)
        });
        let found = found.await??;
        found.ok_or_else(|| {
            let message = format!(
                "no manifest of {name} that was pulled from {}/{path} names this blob",
                self.host
            );
            let detail = serde_json::json!({ "digest": digest });
            Refusal::absent(code::BLOB_UNKNOWN, message).detail(detail)
        })
    }

    /// Fetches a blob, or joins those who do.
    ///
    /// # Errors
    /// 404 as [`Upstream::size`]; what goes wrong later shows in the flight.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        storage: &Arc<Storage>,
        repository: &Arc<Repository>,
        name: &RepositoryName,
        path: &str,
        digest: &Digest,
    ) -> Result<Arc<Flight>, Refusal> {
        let key = (name.clone(), digest.clone());
        if let Some(flight) = lock(&self.flights).get(&key) {
            return Ok(flight.clone());
        }
        let size = self.size(repository, name, path, digest).await?;
        let image = self.image(path, &Reference::Digest(digest.clone()))?;
        let resolved = self.client.resolve(&image, &self.auth).await;
        let source = resolved.map_err(|error| self.failed(&error))?.source;
        let maker = storage.clone();
        let (file, handle) = onggi_rt::blocking("make file", move || maker.temporary()).await??;
        let flight = Arc::new(Flight {
            file: Arc::new(handle),
            size,
            progress: watch::channel(Progress::Until(0)).0,
        });
        let joined = {
            let mut flights = lock(&self.flights);
            let joined = flights.get(&key).cloned();
            if joined.is_none() {
                flights.insert(key.clone(), flight.clone());
            }
            joined
        };
        if let Some(joined) = joined {
            let _ = onggi_rt::blocking("remove file", move || std::fs::remove_file(file)).await?;
            return Ok(joined);
        }
        let landing = Landing {
            upstream: self.clone(),
            key,
            flight: flight.clone(),
            file,
            landed: Err("the registry failed at this".to_owned()),
        };
        let (storage, repository, digest) = (storage.clone(), repository.clone(), digest.clone());
        onggi_rt::spawn("fetch blob", async move {
            let mut landing = landing;
            landing.landed = match fly(&landing.flight, &source, &digest).await {
                Ok(()) => land(storage, repository, &landing.file, &digest).await,
                Err(error) => Err(error),
            };
        });
        Ok(flight)
    }

    fn failed(&self, error: &onggi_registry::Error) -> Refusal {
        let message = format!("{}: {}", self.host, chain(error));
        match error.kind() {
            ErrorKind::NotFound => Refusal::absent(code::MANIFEST_UNKNOWN, message),
            ErrorKind::Unauthorized | ErrorKind::Forbidden => {
                tracing::warn!(upstream = self.host, message, "refused");
                Refusal::new(StatusCode::BAD_GATEWAY, code::DENIED, message)
            }
            _ => Refusal::new(StatusCode::BAD_GATEWAY, refusal::UNAVAILABLE, message),
        }
    }
}

/// The end of a flight, however it comes.
struct Landing {
    upstream: Arc<Upstream>,
    key: (RepositoryName, Digest),
    flight: Arc<Flight>,
    file: PathBuf,
    landed: Result<(), String>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        // Out of the list first: who comes now finds the blob, or begins anew.
        lock(&self.upstream.flights).remove(&self.key);
        let progress = match &self.landed {
            Ok(()) => Progress::Until(self.flight.size),
            Err(why) => {
                let (upstream, digest) = (&self.upstream.host, &self.key.1);
                tracing::warn!(upstream, %digest, why, "not fetched");
                let _ = std::fs::remove_file(&self.file);
                Progress::Failed(why.clone())
            }
        };
        self.flight.progress.send_replace(progress);
    }
}

/// Whether something is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Here {
    /// It is, and nobody has to be asked.
    Good,
    /// It is, and may have changed.
    Stale,
    /// It is not.
    Not,
}

/// Fetches the bytes into the file. The last one is shown to nobody before all are known to be right.
async fn fly(flight: &Flight, source: &Source, digest: &Digest) -> Result<(), String> {
    let descriptor = Descriptor::new("application/octet-stream", digest.clone(), flight.size);
    let mut blob = source.blob(&descriptor, Verify::Here);
    let mut at = 0;
    loop {
        let bytes = match blob.next().await {
            Ok(None) => return Ok(()),
            Ok(Some(Chunk::Data(bytes))) => bytes,
            Ok(Some(Chunk::Retrying { .. })) => continue,
            Err(error) => return Err(chain(&error)),
        };
        let (file, from) = (flight.file.clone(), at);
        at += bytes.len() as u64;
        let written =
            onggi_rt::blocking("write blob", move || file.write_all_at(&bytes, from)).await;
        written
            .map_err(|e| e.to_string())?
            .map_err(|e| e.to_string())?;
        let shown = at.min(flight.size.saturating_sub(1));
        flight.progress.send_replace(Progress::Until(shown));
    }
}

async fn land(
    storage: Arc<Storage>,
    repository: Arc<Repository>,
    file: &Path,
    digest: &Digest,
) -> Result<(), String> {
    let (file, digest) = (file.to_owned(), digest.clone());
    let adopted = onggi_rt::blocking("keep blob", move || {
        storage.adopt(&repository, &file, &digest)
    })
    .await;
    adopted.map_err(|e| e.to_string())?.map_err(|e| chain(&e))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
