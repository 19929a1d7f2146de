//! The small root: busybox, the programs under test, the tests, and a script that runs them one after the other.

use super::{Job, PATIENCE, executable, image, split, tests};
use crate::programs::{HOST, STATIC, call, output, stage};
use anyhow::{Context, Result};
use onggi_testkit::Image;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes it.
pub(super) fn disk(folder: &Path, job: &Job) -> Result<PathBuf> {
    let root = folder.join("root");
    let _ = fs::remove_dir_all(&root);
    // The same small system that containers get.
    for layer in Image::busybox()?.layers() {
        unpack(layer.tar(), &root, folder)?;
    }
    for name in ["run", "tests", "onggi", "lib64", "sbin", "usr/sbin"] {
        fs::create_dir_all(root.join(name))?;
    }
    let mut script = format!(
        "#!/bin/sh
export PATH=/onggi:/bin:/usr/bin:/sbin:/usr/sbin HOME=/root ONGGI_BIN_DIR=/onggi ONGGI_PATIENCE={PATIENCE}
cd /root
failed=0
"
    );
    if job.full {
        script.push_str("export ONGGI_FULL=1\n");
    }
    let install = |from: &Path, to: &str| install(&root, from, to);
    for program in &job.programs {
        install(
            program,
            &format!("bin/{}", program.file_name().context("name")?.display()),
        )?;
    }
    // What tests of networks ask of the kernel; busybox knows less of it.
    for (program, to) in [("/usr/sbin/nft", "sbin/nft"), ("/sbin/ip", "bin/ip")] {
        if let Ok(program) = fs::canonicalize(program) {
            install(&program, to)?;
        }
    }
    // The tests of a single crate do without the programs.
    if job.packages.iter().any(|name| split(name).0 == "onggi") || !job.command.is_empty() {
        let built = stage(job.build)?;
        for name in HOST.iter().chain(STATIC) {
            install(&built.join(name), &format!("onggi/{name}"))?;
        }
    }
    for test in tests(&job.packages)? {
        let name = format!("tests/{}", test.file_name().context("name")?.display());
        install(&test, &name)?;
        let filter = job.filter.as_deref().unwrap_or_default();
        script.push_str(&format!("echo '== {name}'\n/{name} {filter} || failed=1\n"));
    }
    if !job.command.is_empty() {
        script.push_str(&format!("( {} ) || failed=1\n", job.command.join(" ")));
    }
    script.push_str("exit $failed\n");
    executable(&root.join("guest"), &script)?;
    image(&root, &folder.join("root.ext4"))
}

fn unpack(tar: &[u8], root: &Path, folder: &Path) -> Result<()> {
    let file = folder.join("layer.tar");
    fs::write(&file, tar)?;
    fs::create_dir_all(root)?;
    call(
        Command::new("tar")
            .arg("-xf")
            .arg(&file)
            .arg("-C")
            .arg(root),
    )?;
    fs::remove_file(&file)?;
    Ok(())
}

/// Copies a program with the libraries it needs.
fn install(root: &Path, from: &Path, to: &str) -> Result<()> {
    let place = root.join(to);
    // Not through a link of busybox.
    let _ = fs::remove_file(&place);
    fs::copy(from, &place).with_context(|| from.display().to_string())?;
    // A static program has none: ldd says so with an error.
    let Ok(text) = output(Command::new("ldd").arg(from)) else {
        return Ok(());
    };
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    for library in paths.collect::<BTreeSet<_>>() {
        let to = root.join(library.trim_start_matches('/'));
        if !to.exists() {
            fs::create_dir_all(to.parent().context("folder")?)?;
            fs::copy(library, &to).with_context(|| library.to_owned())?;
        }
    }
    let shell = root.join("bin/sh");
    if !shell.exists() {
        symlink("busybox", shell)?;
    }
    Ok(())
}
