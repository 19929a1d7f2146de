//! Files as kernels print them.

use super::*;

#[test]
fn v1_tables_leave_out_the_sum_of_all_devices() {
    let text = "8:0 Read 4096\n8:0 Write 0\n8:0 Total 4096\n253:1 Read 12\nTotal 4108\n";
    let entries = v1::entries(text);
    assert_eq!(entries.len(), 4);
    assert_eq!(
        entries[3],
        BlockEntry {
            major: 253,
            minor: 1,
            op: "Read".into(),
            value: 12
        }
    );
    assert!(v1::entries("Total 0\n").is_empty());
}

#[test]
fn v2_tables_skip_what_they_do_not_know() {
    let text = "8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0 cost.usage=5\n7:0 \n(unknown) rbytes=1\n";
    let stats = v2::parse(text);
    let values: Vec<u64> = stats
        .bytes
        .iter()
        .chain(&stats.operations)
        .map(|e| e.value)
        .collect();
    assert_eq!(values, [10, 20, 1, 2]);
}

#[test]
fn v2_files_to_numbers() {
    let root = tempfile::tempdir().expect("a directory");
    for (file, text) in [
        (
            "cpu.stat",
            "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 1\nthrottled_usec 9\n",
        ),
        ("memory.current", "4096\n"),
        ("memory.max", "max\n"),
        ("memory.events", "low 0\nhigh 0\nmax 6\noom 1\noom_kill 1\n"),
        ("memory.stat", "anon 1\nfile 2\n"),
    ] {
        std::fs::write(root.path().join(file), text).expect("writes");
    }
    let dir = Dir::open(root.path()).expect("opens");
    let mut cpu = CpuStats::default();
    v2::cpu_time(&dir, &mut cpu).expect("reads");
    assert_eq!(
        (
            cpu.total,
            cpu.user,
            cpu.throttled_time,
            cpu.throttled_periods
        ),
        (5000, 3000, 9000, 1)
    );
    let memory = v2::memory(&dir).expect("reads");
    assert_eq!(
        (
            memory.usage,
            memory.limit,
            memory.fail_count,
            memory.max_usage
        ),
        (4096, None, Some(6), None)
    );
    assert_eq!(memory.details["file"], 2);
}
