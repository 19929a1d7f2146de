//! How long a layer takes; not a test of time: run by hand with `--ignored --nocapture`, in release.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Instant;

use onggi_archive::{ApplyOptions, Entry, Kind, TarWriter, apply_at};

#[test]
#[ignore = "a measurement"]
fn twenty_thousand_small_files() {
    let place = std::env::var_os("ONGGI_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let place = tempfile::tempdir_in(place).unwrap();
    let mut tar = TarWriter::new(Vec::new());
    for directory in 0..200 {
        let path = format!("usr/share/doc/package-{directory}/");
        tar.header(&Entry::new(path.clone(), Kind::Directory, 0o755))
            .unwrap();
        for file in 0..100 {
            let data = vec![b'x'; 500 + file * 30];
            let mut entry = Entry::new(format!("{path}file-{file}"), Kind::File, 0o644);
            entry.size = data.len() as u64;
            entry.mtime.seconds = 1_700_000_000;
            tar.file(&entry, &data[..]).unwrap();
        }
    }
    let bytes = tar.finish().unwrap();
    let archive = place.path().join("layer.tar");
    std::fs::write(&archive, &bytes).unwrap();
    for round in 0..3 {
        let (ours, theirs) = (
            place.path().join(format!("ours{round}")),
            place.path().join(format!("tar{round}")),
        );
        std::fs::create_dir(&ours).unwrap();
        std::fs::create_dir(&theirs).unwrap();
        let start = Instant::now();
        let file = std::fs::File::open(&archive).unwrap();
        apply_at(file, &ours, &ApplyOptions::layer()).unwrap();
        let mine = start.elapsed();
        let start = Instant::now();
        let status = std::process::Command::new("tar")
            .arg("-xpf")
            .arg(&archive)
            .arg("-C")
            .arg(&theirs)
            .status()
            .unwrap();
        assert!(status.success());
        let other = start.elapsed();
        std::io::Write::write_fmt(
            &mut std::io::stdout(),
            format_args!("apply {mine:?}, GNU tar {other:?}\n"),
        )
        .unwrap();
    }
}
