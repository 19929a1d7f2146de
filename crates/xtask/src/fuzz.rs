//! Tests on inputs bent by chance, for longer than the moment that `cargo xtask test` gives them.

use crate::packages;
use crate::programs::{Build, call, cargo, stage};
use anyhow::Result;

/// What has targets: package, and where in it.
const TARGETS: &[(&str, &[&str])] = &[
    ("onggi-model", FOLDER),
    ("onggi-dns", FOLDER),
    ("onggi-dockerfile", FOLDER),
    ("onggi-gotmpl", FOLDER),
    ("onggi-api", FOLDER),
    ("onggi-archive", FOLDER),
    ("onggi-builder", FOLDER),
    ("onggi-compose", FOLDER),
    ("onggi-monitor", FOLDER),
    ("onggi-cli", &["--lib"]),
    ("onggi", FOLDER),
];
const FOLDER: &[&str] = &["--test", "fuzz"];

/// How long each is run unless somebody says otherwise.
pub(crate) const SECONDS: u64 = 120;

/// Runs each target for so many seconds.
pub(crate) fn run(seconds: u64, filter: Option<&str>) -> Result<()> {
    packages::install(&[packages::BUILD, packages::TEST])?;
    let folder = stage(Build::Debug)?;
    for (package, place) in TARGETS {
        let mut tests = cargo();
        tests
            .args(["test", "--package", package])
            .args(*place)
            // One after the other: each has the machine for its time.
            .args(["--", "--test-threads", "1"])
            .arg(filter.unwrap_or("fuzz_"))
            .env("ONGGI_BIN_DIR", &folder)
            .env("ONGGI_FUZZ_SECONDS", seconds.to_string());
        call(&mut tests)?;
    }
    Ok(())
}
