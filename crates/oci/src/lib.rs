//! OCI documents as plain data: what bundles, images and registries write down. No I/O here.

pub mod distribution;
pub mod image;
pub mod runtime;
