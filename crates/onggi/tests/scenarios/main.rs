//! What users write down in their own notes about Docker, row by row (S1, S2, ...), each typed with our command line
//! and with Docker's, on our daemon. `ONGGI_SUBJECT=dockerd` plays the same scenes on Docker's daemon.
//!
//! Left out until they are there: `save` and `push` (S10, S11), a version that is shipped (S20), clusters (S21).

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod application; // S19: Compose
mod builds; // S17, S18: Dockerfiles of users, and every instruction
mod first_run; // S2, S3: run what is not here yet; the six steps
mod flags; // flags that no other scene shows
mod image_flags; // flags of commands on images that no other scene shows
mod images; // S8, S9: images are immutable; removal rules
mod install; // S1: version, info, help, who may
mod isolation; // S22: what isolates
mod life; // S7: stop, start, logs, top and their kin
mod lists; // S5: images, ps, volume ls, network ls
mod networks; // S9, S15, S16: networks and links
mod same_bytes; // both command lines print the same
mod scene; // the harness
mod services; // S6: published ports
mod settings; // S12: flags of run
mod terminal; // S4: leave it running
mod transfer; // S11: export, import, cp
mod volumes; // S13, S14: volumes and binds

/// Plays each scene twice: typed with `onggi`, and with `docker`.
macro_rules! as_typed {
    ($($scene:ident),* $(,)?) => {
        mod onggi {
            $(#[test] fn $scene() -> anyhow::Result<()> {
                $crate::scene::as_typed($crate::scene::Cli::Onggi, super::$scene)
            })*
        }
        mod docker {
            $(#[test] fn $scene() -> anyhow::Result<()> {
                $crate::scene::as_typed($crate::scene::Cli::Docker, super::$scene)
            })*
        }
    };
}
pub(crate) use as_typed;
