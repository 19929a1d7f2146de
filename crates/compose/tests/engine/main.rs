//! Projects on an engine: brought up, changed, taken down. The same on dockerd (`ONGGI_SUBJECT=dockerd`).

mod conditions; // services that wait for each other
mod files; // configs, secrets, volumes
mod others; // projects that others made
mod scene; // a project in a folder, and a daemon
mod sudden; // commands that were killed in the middle
mod update; // start-first
mod whole; // up, down, scale

use onggi_compose as _;
