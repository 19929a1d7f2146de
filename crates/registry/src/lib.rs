//! Distribution client: resolve, authenticate, fetch, push, mirrors.
//!
//! Speaks the OCI distribution protocol as Docker's engine does: its hosts and mirrors, its order of
//! schemes, its token flow, its error texts. What is *not* here: what becomes of the bytes (crate
//! `image`), and the documents themselves (crate `oci`).
//!
//! Kept true: nothing a registry sends is trusted before its digest and size are checked, nothing it
//! sends can grow without a bound, and credentials go to the registry they belong to and to the token
//! server it names, to nobody else.

mod ask; // a request to a registry
mod auth; // who we are: user and password, tokens
mod auth_file; // who we are to a mirror
mod blob; // one blob as a stream that resumes
mod certificates; // of single registries
mod challenge; // WWW-Authenticate
mod client; // the entry: resolve a reference, fetch documents
mod config; // mirrors, insecure registries, certificates
mod copy; // blobs from repository to repository
mod dial; // connection failures in the words Go's net package uses
mod endpoint; // where a repository may be found, in the order to try
mod error; // what can go wrong, in Docker's words
mod fetch; // documents from the registry itself
mod inspect; // what is under a name, without fetching it
mod login; // credentials tried
mod platform; // the manifest of an index that fits a platform
mod push; // what a registry lacks: mounted, uploaded, named
mod registries; // files about single registries
mod search; // repositories by a word
mod tags; // all tags of a repository
mod token; // token servers and the tokens they gave
mod transport; // one request: scheme, authentication, redirects, retries
mod web; // a file of the web

pub use auth::Auth;
pub use blob::{Blob, Chunk, Verify};
pub use client::{Client, Document, MANIFEST_LIMIT, Resolved, Source, digest};
pub use config::{Config, InvalidConfig, Proxies};
pub use error::{Answer, Error};
pub use inspect::Inspected;
pub use platform::{NoMatch, select};
pub use push::{Claim, Place, SMALL, Target, Upload};
pub use registries::{Mirror, Rule};
pub use search::Hit;
pub use web::{Download, FetchError};
