//! The counters: what the data root holds, without looking.

use serde::{Deserialize, Serialize};

/// What the data root holds, kept in step with every change. Container roots are counted, not measured: they are
/// written to by the kernel without anyone telling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Blobs in the catalogue.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Layers in the catalogue.
    pub layers: u64,
    /// Bytes of the files in them.
    pub layer_bytes: u64,
    /// Images.
    pub images: u64,
    /// Container roots.
    pub roots: u64,
}
