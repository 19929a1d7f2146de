//! What is written to which file, on a directory of plain files.

use super::*;
use crate::limits::Warnings;

struct Fake(tempfile::TempDir);

impl Fake {
    fn new(files: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        for file in files {
            std::fs::write(root.path().join(file), "").expect("writes");
        }
        Self(root)
    }

    fn dir(&self) -> Dir {
        Dir::open(self.0.path()).expect("opens")
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.path().join(file)).expect("reads")
    }
}

#[test]
fn memory_and_swap() {
    let fake = Fake::new(&["memory.max", "memory.swap.max", "memory.low"]);
    let mut w = Warnings(Vec::new());
    let limits = Memory {
        limit: Some(64),
        swap: Some(96),
        reservation: Some(32),
        swappiness: Some(5),
        ..Memory::default()
    };
    memory(&fake.dir(), &limits, &mut w).expect("is fine");
    assert_eq!(
        ["memory.max", "memory.swap.max", "memory.low"].map(|f| fake.text(f)),
        ["64", "32", "32"]
    );
    assert_eq!(w.0.len(), 1);
}

#[test]
fn swap_equal_to_memory_forbids_swap() {
    let fake = Fake::new(&["memory.max", "memory.swap.max"]);
    let limits = Memory {
        limit: Some(64),
        swap: Some(64),
        ..Memory::default()
    };
    memory(&fake.dir(), &limits, &mut Warnings(Vec::new())).expect("is fine");
    assert_eq!(fake.text("memory.swap.max"), "0");
}

#[test]
fn missing_swap_accounting_is_a_warning() {
    let fake = Fake::new(&["memory.max"]);
    let mut w = Warnings(Vec::new());
    let limits = Memory {
        limit: Some(64),
        swap: Some(128),
        ..Memory::default()
    };
    memory(&fake.dir(), &limits, &mut w).expect("is fine");
    assert_eq!(fake.text("memory.max"), "64");
    assert_eq!(
        w.0,
        ["The kernel does not support swap limits; it is not applied."]
    );
}

#[test]
fn cpu_quota_and_weight() {
    let fake = Fake::new(&["cpu.max", "cpu.weight", "cpu.max.burst"]);
    let limits = Cpu {
        shares: Some(1024),
        quota: Some(50_000),
        period: Some(100_000),
        burst: Some(10),
        ..Cpu::default()
    };
    cpu(&fake.dir(), &limits, &mut Warnings(Vec::new())).expect("is fine");
    assert_eq!(
        ["cpu.weight", "cpu.max", "cpu.max.burst"].map(|f| fake.text(f)),
        ["100", "50000 100000", "10"]
    );
    let unlimited = Cpu {
        quota: Some(-1),
        ..Cpu::default()
    };
    let fake = Fake::new(&["cpu.max"]);
    cpu(&fake.dir(), &unlimited, &mut Warnings(Vec::new())).expect("is fine");
    assert_eq!(fake.text("cpu.max"), "max");
}

#[test]
fn unified_files_stay_inside_the_group() {
    let fake = Fake::new(&["memory.high"]);
    let one = |k: &str, v: &str| BTreeMap::from([(k.to_owned(), v.to_owned())]);
    unified(&fake.dir(), &one("memory.high", "5")).expect("is fine");
    assert_eq!(fake.text("memory.high"), "5");
    for bad in ["../memory.high", "cgroup.procs", "cgroup.kill", "memory"] {
        assert!(unified(&fake.dir(), &one(bad, "1")).is_err(), "{bad}");
    }
}
