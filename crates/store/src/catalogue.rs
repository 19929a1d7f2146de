//! The catalogue: typed records in transactions over redb.
//!
//! One commit is one fdatasync. What a transaction does to blobs, layers and images lies beside those words
//! (`layer.rs`, `image.rs`, `root.rs`); how it ends, with files discarded in step, in `collect.rs`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use onggi_model::Digest;
use redb::{ReadableDatabase as _, ReadableTable, TableDefinition, TableError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::Backend;
use crate::draft::Draft;
use crate::store::Inner;
use crate::usage::Usage;
use crate::{ChainId, Error};

/// The newest format this version reads and the one it writes.
const FORMAT: u32 = 1;
/// The catalogue is small and its pages sit in the page cache too.
const CACHE: usize = 4 << 20;
/// From this size on, commits save redb's allocator state (a second sync each), because the scan that a kill would
/// otherwise cost at the next open is no longer a matter of milliseconds.
const QUICK_REPAIR_FROM: u64 = 16 << 20;

/// The store's own tables. Those of other crates are named by [`Record::TABLE`].
pub(crate) mod table {
    pub(crate) const BLOBS: &str = "store/blobs";
    /// `PARENT CHILD`: an index of the images' parents.
    pub(crate) const CHILDREN: &str = "store/children";
    pub(crate) const IMAGES: &str = "store/images";
    /// Images that lack blobs they should keep: which.
    pub(crate) const INCOMPLETE: &str = "store/incomplete";
    pub(crate) const LAYERS: &str = "store/layers";
    pub(crate) const META: &str = "store/meta";
    pub(crate) const REFERENCES: &str = "store/references";
    pub(crate) const ROOTS: &str = "store/roots";
    pub(crate) const STEPS: &str = "store/steps";
}

/// Keys of [`table::META`].
const KEY_FORMAT: &str = "format";
const KEY_USAGE: &str = "usage";

/// Something other crates keep in the catalogue, as JSON under a text key.
pub trait Record: Serialize + DeserializeOwned {
    /// Name of the table. Names that start with `store/` belong to the store.
    const TABLE: &'static str;
}

/// The open database.
#[derive(Debug)]
pub(crate) struct Catalogue {
    path: PathBuf,
    syncs: Arc<AtomicU64>,
    opened: Mutex<Opened>,
}

#[derive(Clone, Debug)]
struct Opened {
    database: Arc<redb::Database>,
    backend: Backend,
}

impl Opened {
    fn new(path: &Path, syncs: &Arc<AtomicU64>) -> Result<Opened, Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(Error::file("open", path))?;
        let backend = Backend::new(file, Arc::clone(syncs));
        let database = redb::Builder::new()
            .set_cache_size(CACHE)
            .create_with_backend(backend.clone())?;
        Ok(Opened {
            database: Arc::new(database),
            backend,
        })
    }
}

impl Catalogue {
    /// Opens or makes the catalogue at `path`, which `may_begin` has to allow; `syncs` counts its syncs.
    pub(crate) fn open(
        path: &Path,
        syncs: Arc<AtomicU64>,
        may_begin: impl FnOnce() -> Result<(), Error>,
    ) -> Result<Catalogue, Error> {
        let opened = Opened::new(path, &syncs)?;
        let path = path.to_path_buf();
        let catalogue = Catalogue {
            path,
            syncs,
            opened: Mutex::new(opened),
        };
        match catalogue.reader()?.fetch::<u32>(table::META, KEY_FORMAT)? {
            Some(FORMAT) => {}
            Some(found) => {
                return Err(Error::Format {
                    found,
                    known: FORMAT,
                });
            }
            None => {
                may_begin()?;
                let transaction = catalogue.writer()?;
                store(&transaction, table::META, KEY_FORMAT, &FORMAT)?;
                transaction.commit()?;
            }
        }
        Ok(catalogue)
    }

    /// A view of the last committed state.
    pub(crate) fn reader(&self) -> Result<ReadTx, Error> {
        Ok(ReadTx {
            transaction: self.opened()?.database.begin_read()?,
        })
    }

    /// The one writer; waits for the one before it.
    pub(crate) fn writer(&self) -> Result<redb::WriteTransaction, Error> {
        let mut opened = self.opened()?;
        let begun = match opened.database.begin_write() {
            // The writer before this one, waited for, ran into an error of the disk.
            Err(_) if opened.backend.has_failed() => {
                opened = self.opened()?;
                opened.database.begin_write()
            }
            begun => begun,
        };
        let mut transaction = begun?;
        opened.backend.reserve();
        transaction.set_quick_repair(opened.backend.size() >= QUICK_REPAIR_FROM);
        Ok(transaction)
    }

    /// The database, opened again if it failed: after an error of the disk redb does nothing more, for good, and a disk
    /// that was full must not need a restart. What still runs on the failed one can neither read nor write the file.
    fn opened(&self) -> Result<Opened, Error> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.backend.has_failed() {
            *opened = Opened::new(&self.path, &self.syncs)?;
            tracing::warn!("the catalogue was opened again after an error of the disk");
        }
        Ok(opened.clone())
    }
}

/// A view of the catalogue that does not change while it lives. Holding one for long keeps old pages on the disk.
pub struct ReadTx {
    transaction: redb::ReadTransaction,
}

impl ReadTx {
    /// The record under `key`.
    ///
    /// # Errors
    /// [`Error::Record`] when the record has another shape, [`Error::Catalogue`] when reading fails.
    pub fn get<T: Record>(&self, key: &str) -> Result<Option<T>, Error> {
        self.fetch(T::TABLE, key)
    }

    /// All records of the table with their keys, in the order of the keys.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn list<T: Record>(&self) -> Result<Vec<(String, T)>, Error> {
        self.fetch_all(T::TABLE, "")
    }

    /// The records whose keys start with `prefix`.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn list_prefix<T: Record>(&self, prefix: &str) -> Result<Vec<(String, T)>, Error> {
        self.fetch_all(T::TABLE, prefix)
    }

    pub(crate) fn fetch<T: DeserializeOwned>(
        &self,
        name: &'static str,
        key: &str,
    ) -> Result<Option<T>, Error> {
        let definition = TableDefinition::<&str, &[u8]>::new(name);
        match self.transaction.open_table(definition) {
            Ok(table) => fetch(&table, name, key),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn fetch_all<T: DeserializeOwned>(
        &self,
        name: &'static str,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, Error> {
        let definition = TableDefinition::<&str, &[u8]>::new(name);
        match self.transaction.open_table(definition) {
            Ok(table) => fetch_all(&table, name, prefix),
            Err(TableError::TableDoesNotExist(_)) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn usage(&self) -> Result<Usage, Error> {
        Ok(self.fetch(table::META, KEY_USAGE)?.unwrap_or_default())
    }
}

/// The one running change of the catalogue: all of it happens, or nothing.
pub struct WriteTx<'store> {
    pub(crate) transaction: redb::WriteTransaction,
    draft: RefCell<Draft>,
    pub(crate) inner: &'store Inner,
    /// Pending objects this change takes into the catalogue.
    pub(crate) adopted: Adopted,
    /// Objects nothing referred to at some moment of this change; looked at again at its end.
    pub(crate) loose: Loose,
    /// The counters, once they were read.
    pub(crate) usage: Option<Usage>,
}

/// Pending objects that a change takes into the catalogue.
#[derive(Default)]
pub(crate) struct Adopted {
    pub(crate) blobs: BTreeSet<Digest>,
    pub(crate) layers: BTreeSet<ChainId>,
    /// Whether some of them were not known to be on the disk.
    pub(crate) unsynced: bool,
}

/// Objects that may have lost their last reference.
#[derive(Default)]
pub(crate) struct Loose {
    pub(crate) blobs: BTreeSet<Digest>,
    pub(crate) layers: BTreeSet<ChainId>,
    /// Container roots that were removed; their directories go with the change.
    pub(crate) roots: BTreeSet<String>,
}

impl<'store> WriteTx<'store> {
    pub(crate) fn begin(inner: &'store Inner) -> Result<WriteTx<'store>, Error> {
        Ok(WriteTx {
            transaction: inner.catalogue.writer()?,
            draft: RefCell::default(),
            inner,
            adopted: Adopted::default(),
            loose: Loose::default(),
            usage: None,
        })
    }

    /// The record under `key`, with what this change did to it.
    ///
    /// # Errors
    /// [`Error::Record`] when the record has another shape, [`Error::Catalogue`] when reading fails.
    pub fn get<T: Record>(&self, key: &str) -> Result<Option<T>, Error> {
        self.fetch(T::TABLE, key)
    }

    /// All records of the table with their keys, in the order of the keys.
    ///
    /// # Errors
    /// As [`WriteTx::get`].
    pub fn list<T: Record>(&self) -> Result<Vec<(String, T)>, Error> {
        self.fetch_all(T::TABLE)
    }

    /// Writes the record under `key`, over the one that may be there.
    ///
    /// # Errors
    /// [`Error::Record`] when it cannot be written as JSON, [`Error::Catalogue`] when writing fails.
    pub fn put<T: Record>(&mut self, key: &str, record: &T) -> Result<(), Error> {
        self.store(T::TABLE, key, record)
    }

    /// Removes the record under `key`; says whether there was one.
    ///
    /// # Errors
    /// [`Error::Catalogue`] when writing fails.
    pub fn delete<T: Record>(&mut self, key: &str) -> Result<bool, Error> {
        self.erase(T::TABLE, key)
    }

    pub(crate) fn fetch<T: DeserializeOwned>(
        &self,
        name: &'static str,
        key: &str,
    ) -> Result<Option<T>, Error> {
        self.load(name, key)?;
        let draft = self.draft.borrow();
        let value = draft.get(name, key).flatten();
        value.map(|value| decode(name, key, value)).transpose()
    }

    pub(crate) fn fetch_all<T: DeserializeOwned>(
        &self,
        name: &'static str,
    ) -> Result<Vec<(String, T)>, Error> {
        let mut rows = BTreeMap::new();
        let table = self.table(name)?;
        for row in table.range::<&str>(..)? {
            let (key, value) = row?;
            rows.insert(key.value().to_owned(), value.value().to_vec());
        }
        for (key, value) in self.draft.borrow().written(name) {
            match value {
                Some(value) => rows.insert(key.to_owned(), value.to_vec()),
                None => rows.remove(key),
            };
        }
        let decoded = rows.into_iter().map(|(key, value)| {
            let record = decode(name, &key, &value)?;
            Ok((key, record))
        });
        decoded.collect()
    }

    pub(crate) fn store<T: Serialize>(
        &mut self,
        name: &'static str,
        key: &str,
        record: &T,
    ) -> Result<(), Error> {
        let value = encode(name, key, record)?;
        self.draft.get_mut().write(name, key, Some(value));
        Ok(())
    }

    pub(crate) fn erase(&mut self, name: &'static str, key: &str) -> Result<bool, Error> {
        self.load(name, key)?;
        let draft = self.draft.get_mut();
        let was_there = draft.get(name, key).flatten().is_some();
        if was_there {
            draft.write(name, key, None);
        }
        Ok(was_there)
    }

    /// Writes what was drafted.
    pub(crate) fn write_draft(&mut self) -> Result<(), Error> {
        let draft = std::mem::take(self.draft.get_mut());
        for name in draft.tables() {
            let mut table = self.table(name)?;
            for (key, value) in draft.written(name) {
                match value {
                    Some(value) => table.insert(key, value)?,
                    None => table.remove(key)?,
                };
            }
        }
        Ok(())
    }

    /// Has the row in the draft.
    fn load(&self, name: &'static str, key: &str) -> Result<(), Error> {
        if self.draft.borrow().get(name, key).is_some() {
            return Ok(());
        }
        let value = self
            .table(name)?
            .get(key)?
            .map(|value| value.value().to_vec());
        self.draft.borrow_mut().read(name, key, value);
        Ok(())
    }

    fn table(
        &self,
        name: &'static str,
    ) -> Result<redb::Table<'_, &'static str, &'static [u8]>, Error> {
        let definition = TableDefinition::<&str, &[u8]>::new(name);
        Ok(self.transaction.open_table(definition)?)
    }

    /// The counters, to change; written at the end of the change.
    pub(crate) fn usage(&mut self) -> Result<&mut Usage, Error> {
        if self.usage.is_none() {
            self.usage = Some(self.fetch(table::META, KEY_USAGE)?.unwrap_or_default());
        }
        Ok(self.usage.get_or_insert_default())
    }

    pub(crate) fn write_usage(&mut self) -> Result<(), Error> {
        match self.usage.take() {
            Some(usage) => self.store(table::META, KEY_USAGE, &usage),
            None => Ok(()),
        }
    }
}

fn fetch<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &'static str,
    key: &str,
) -> Result<Option<T>, Error> {
    table
        .get(key)?
        .map(|value| decode(name, key, value.value()))
        .transpose()
}

fn fetch_all<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &'static str,
    prefix: &str,
) -> Result<Vec<(String, T)>, Error> {
    let mut records = Vec::new();
    for row in table.range(prefix..)? {
        let (key, value) = row?;
        let key = key.value();
        if !key.starts_with(prefix) {
            break;
        }
        records.push((key.to_owned(), decode(name, key, value.value())?));
    }
    Ok(records)
}

fn decode<T: DeserializeOwned>(table: &'static str, key: &str, value: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|source| Error::Record {
        table,
        key: key.to_owned(),
        source,
    })
}

fn encode<T: Serialize>(table: &'static str, key: &str, record: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(record).map_err(|source| Error::Record {
        table,
        key: key.to_owned(),
        source,
    })
}

fn store<T: Serialize>(
    transaction: &redb::WriteTransaction,
    name: &'static str,
    key: &str,
    record: &T,
) -> Result<(), Error> {
    let value = encode(name, key, record)?;
    let mut table = transaction.open_table(TableDefinition::<&str, &[u8]>::new(name))?;
    table.insert(key, value.as_slice())?;
    Ok(())
}
