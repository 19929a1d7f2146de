//! The first boot: install, use, and leave containers for the next one.

mod confinement; // control groups, AppArmor
mod journal; // logs to journald
mod leaving; // what the next boot looks at
mod service; // units, socket, group
