//! Builds: what comes out, beside Docker's own builder; what is done again; what goes wrong; what is left.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod again; // which steps are done again
mod bad_days; // full disks, archives that mean harm, clients that go
mod cache; // what is known of steps, and for how long
mod cache_local; // in directories of clients
mod cache_to; // what builders tell each other
mod context; // what of a context is sent and kept
mod equal; // images that are Docker's
mod errors; // what people are told
mod history; // what is remembered of builds
mod layers; // what a step leaves is a layer where it lies
mod mounts; // RUN --mount
mod newer; // what the language learned later
mod scene; // a context, a build, what came of it
mod secrets; // what nobody else is to see
mod session; // what is said on the connection of a build
mod ssh; // RUN --mount=type=ssh
mod sudden; // clients and daemons that go
