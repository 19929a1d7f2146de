//! Tables of limits: what is refused, what is given up.

use super::*;

fn all() -> Features {
    Features {
        memory: true,
        swap: true,
        memory_reservation: true,
        swappiness: true,
        oom_kill_disable: true,
        pids: true,
        cpu_shares: true,
        cpu_quota: true,
        cpu_realtime: true,
        cpuset: Some(("0-1".to_owned(), "0".to_owned())),
        block_weight: true,
        block_weight_device: true,
        block_throttle: true,
    }
}

fn limits(json: &str) -> Resources {
    serde_json::from_str(json).expect("limits")
}

#[test]
fn what_cannot_be_is_refused() {
    for (json, text) in [
        (r#"{"Memory":1024}"#, "Minimum memory limit allowed is 6MB"),
        (
            r#"{"MemorySwap":67108864}"#,
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            r#"{"Memory":67108864,"MemorySwap":1048576}"#,
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            r#"{"MemorySwappiness":101}"#,
            "Invalid value: 101, valid memory swappiness range is 0-100",
        ),
        (
            r#"{"MemoryReservation":1}"#,
            "Minimum memory reservation allowed is 6MB",
        ),
        (
            r#"{"Memory":8388608,"MemoryReservation":16777216}"#,
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            r#"{"NanoCpus":1000,"CpuPeriod":2000}"#,
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            r#"{"NanoCpus":1000,"CpuQuota":2000}"#,
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (
            r#"{"CpuPeriod":1}"#,
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (
            r#"{"CpuQuota":1}"#,
            "CPU cfs quota can not be less than 1ms (i.e. 1000)",
        ),
        (
            r#"{"CpusetCpus":"9"}"#,
            "Requested CPUs are not available - requested 9, available: 0-1",
        ),
        (
            r#"{"CpusetMems":"3"}"#,
            "Requested memory nodes are not available - requested 3, available: 0",
        ),
        (
            r#"{"CpusetCpus":"1-0"}"#,
            "Invalid value 1-0 for cpuset cpus",
        ),
        (
            r#"{"BlkioWeight":5}"#,
            "Range of blkio weight is from 10 to 1000",
        ),
        (
            r#"{"IOMaximumIOps":5}"#,
            "Invalid QoS settings: linux does not support configuration of maximum IOPs",
        ),
        (
            r#"{"CpuRealtimePeriod":1,"CpuRealtimeRuntime":2}"#,
            "cpu real-time runtime cannot be higher than cpu real-time period",
        ),
        (
            r#"{"CpuShares":-1}"#,
            "invalid CPU shares (-1): value must be a positive integer",
        ),
    ] {
        let error = resources(&mut limits(json), &all(), Asked::New).expect_err(json);
        assert_eq!(error.to_string(), text, "{json}");
    }
}

#[test]
fn what_the_machine_does_not_know_is_given_up_with_a_warning() {
    let mut asked = limits(
        r#"{"Memory":67108864,"MemoryReservation":8388608,"MemorySwappiness":10,"OomKillDisable":true,"PidsLimit":5,
            "CpuShares":5,"CpuQuota":5000,"CpusetCpus":"0","BlkioWeight":20,
            "BlkioWeightDevice":[{"Path":"/dev/sda","Weight":5}],"BlkioDeviceReadBps":[{"Path":"/dev/sda","Rate":5}]}"#,
    );
    let warnings = resources(&mut asked, &Features::default(), Asked::New).expect("given up");
    assert_eq!(warnings.len(), 11, "{warnings:#?}");
    assert_eq!(
        warnings[0],
        "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."
    );
    assert_eq!(
        (asked.memory, asked.memory_swap, asked.cpu_quota),
        (0, -1, 0)
    );
    assert_eq!((asked.oom_kill_disable, asked.pids_limit), (None, None));
}

#[test]
fn docker_fills_in_what_is_left_open() {
    let mut asked =
        limits(r#"{"Memory":67108864,"CpuShares":1,"MemorySwappiness":-1,"KernelMemory":5}"#);
    assert_eq!(
        resources(&mut asked, &all(), Asked::New).expect("limits"),
        Vec::<String>::new()
    );
    assert_eq!(asked.memory_swap, 128 << 20);
    assert_eq!((asked.cpu_shares, asked.kernel_memory), (1, 0));
    assert_eq!(
        (asked.memory_swappiness, asked.oom_kill_disable),
        (None, Some(false))
    );
}

#[test]
fn scores_ulimits_and_shm_have_bounds() {
    for (json, text) in [
        (
            r#"{"OomScoreAdj":1001}"#,
            "Invalid value 1001, range for oom score adj is [-1000, 1000]",
        ),
        (r#"{"ShmSize":-1}"#, "SHM size can not be less than 0"),
        (
            r#"{"Ulimits":[{"Name":"nope","Soft":1,"Hard":1}]}"#,
            "invalid ulimit type: nope",
        ),
        (
            r#"{"Ulimits":[{"Name":"nofile","Soft":2,"Hard":1}]}"#,
            "ulimit soft limit must be less than or equal to hard limit: 2 > 1",
        ),
    ] {
        let host: HostConfig = serde_json::from_str(json).expect("a document");
        assert_eq!(rights(&host).expect_err(json).to_string(), text);
    }
}
