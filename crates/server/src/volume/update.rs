//! `PUT /volumes/{name}`: of volumes of a swarm, and there is none.

use onggi_model::ErrorKind;

use crate::call::{Call, Reply};
use crate::failure::Failure;

/// As Docker answers where there is no swarm, whatever the volume.
pub(crate) async fn handle(_call: Call) -> Reply {
    Err(Failure::new(
        ErrorKind::Unavailable,
        "volume update only valid for cluster volumes, but swarm is unavailable",
    ))
}
