//! The installed service on a machine that systemd runs: units, socket, group, journal, control groups, AppArmor, and
//! what a restart of the machine leaves. Only in the guest of `cargo xtask vm --systemd`, whose machine these tests
//! own: each `boot` module is run after one boot, one test at a time, in any order.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod boot1; // installed, used, left running
mod boot2; // the same machine after a restart
mod machine; // commands on it
