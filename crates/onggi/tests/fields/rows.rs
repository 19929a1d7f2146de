//! The table: a flag, how it is given, and what is seen of it.

/// What shows that a flag works.
pub(crate) enum Check {
    /// A script prints exactly this.
    Says(&'static str, &'static str),
    /// A script prints this among other things.
    Shows(&'static str, &'static str),
    /// A control file (controller, file) of cgroup v1 holds this.
    Limit(&'static str, &'static str, &'static str),
    /// `inspect -f` prints exactly this.
    Inspect(&'static str, &'static str),
    /// A code of failure and this in the text.
    Refused(&'static str),
    /// A script prints exactly this, and the client is warned of that.
    Warns(&'static str, &'static str, &'static str),
}

/// One flag, one way to use it.
pub(crate) struct Row {
    pub(crate) flag: &'static str,
    pub(crate) flags: &'static [&'static str],
    pub(crate) check: Check,
    /// Docker 20.10 does the same on the machine of the tests.
    pub(crate) docker: bool,
}

const fn row(flag: &'static str, flags: &'static [&'static str], check: Check) -> Row {
    Row {
        flag,
        flags,
        check,
        docker: true,
    }
}

/// A row that Docker 20.10 does not know, or that it does in other words.
const fn ours(flag: &'static str, flags: &'static [&'static str], check: Check) -> Row {
    Row {
        flag,
        flags,
        check,
        docker: false,
    }
}

use Check::{Inspect, Limit, Refused, Says, Shows, Warns};

const STATUS: &str = "grep CapEff /proc/self/status | cut -f2";
const MASKED: &str = "cat /proc/timer_list /proc/keys | head -c 1 | wc -c";

/// The flags of `run` and `create`.
pub(crate) const ROWS: &[Row] = &[
    row(
        "--add-host",
        &["--add-host", "pot:10.1.2.3"],
        Shows("cat /etc/hosts", "10.1.2.3\tpot"),
    ),
    row(
        "--add-host",
        &["--add-host", "gate:host-gateway"],
        Says("grep -c gate /etc/hosts", "1"),
    ),
    row(
        "--add-host",
        &["--add-host", "pot"],
        Refused("bad format for add-host"),
    ),
    ours(
        "--annotation",
        &["--annotation", "a.b=c"],
        Inspect("{{json .HostConfig.Annotations}}", r#"{"a.b":"c"}"#),
    ),
    ours(
        "--blkio-weight",
        &["--blkio-weight", "9"],
        Refused("blkio weight"),
    ),
    ours(
        "--blkio-weight-device",
        &["--blkio-weight-device", "/dev/zero:20"],
        Shows("echo ran", "ran"),
    ),
    row(
        "--cap-add",
        &["--cap-add", "NET_ADMIN"],
        Says(STATUS, "00000000a80435fb"),
    ),
    row(
        "--cap-add",
        &["--cap-add", "CAP_SYS_TIME"],
        Says(STATUS, "00000000aa0425fb"),
    ),
    row(
        "--cap-add",
        &["--cap-add", "nope"],
        Refused("nknown capability"),
    ),
    row(
        "--cap-drop",
        &["--cap-drop", "all"],
        Says(STATUS, "0000000000000000"),
    ),
    row(
        "--cap-drop",
        &["--cap-drop=ALL", "--cap-add=CHOWN"],
        Says(STATUS, "0000000000000001"),
    ),
    row(
        "--cgroup-parent",
        // On v2 a container sees no names above its own, unless it is told to.
        &["--cgroup-parent", "/onggi-fields", "--cgroupns", "host"],
        Shows("cat /proc/self/cgroup", "/onggi-fields/"),
    ),
    row(
        "--cgroupns",
        &["--cgroupns", "private"],
        Says("cut -d: -f3 /proc/self/cgroup | sort -u", "/"),
    ),
    row(
        "--cgroupns",
        &["--cgroupns", "host"],
        Says(
            "cut -d: -f3 /proc/self/cgroup | grep -qx / ; grep -c $HOSTNAME /proc/self/cgroup | grep -cv '^0'",
            "1",
        ),
    ),
    row("--cpu-count", &["--cpu-count", "2"], Refused("--cpu-count")),
    row(
        "--cpu-percent",
        &["--cpu-percent", "2"],
        Refused("--cpu-percent"),
    ),
    row(
        "--cpu-period",
        &["--cpu-period", "50000"],
        Limit("cpu", "cpu.cfs_period_us", "50000"),
    ),
    row(
        "--cpu-period",
        &["--cpu-period", "5"],
        Refused("CPU cfs period can not be less than 1ms"),
    ),
    row(
        "--cpu-quota",
        &["--cpu-quota", "20000"],
        Limit("cpu", "cpu.cfs_quota_us", "20000"),
    ),
    row(
        "--cpu-quota",
        &["--cpu-quota", "5"],
        Refused("CPU cfs quota can not be less than 1ms"),
    ),
    ours(
        "--cpu-rt-period",
        &["--cpu-rt-period", "5", "--cpu-rt-runtime", "9"],
        Refused("eal-time"),
    ),
    ours(
        "--cpu-rt-runtime",
        &["--cpu-rt-runtime", "95000"],
        Refused("eal-time"),
    ),
    row(
        "--cpu-shares",
        &["--cpu-shares", "300"],
        Limit("cpu", "cpu.shares", "300"),
    ),
    ours(
        "--cpu-shares",
        &["-c", "1"],
        Limit("cpu", "cpu.shares", "2"),
    ),
    row(
        "--cpus",
        &["--cpus", "0.5"],
        Limit("cpu", "cpu.cfs_quota_us", "50000"),
    ),
    row(
        "--cpus",
        &["--cpus", "4096"],
        Refused("ange of CPUs is from 0.01 to"),
    ),
    row(
        "--cpus",
        &["--cpus", "1", "--cpu-period", "50000"],
        Refused("Nano CPUs and CPU Period cannot both be set"),
    ),
    row(
        "--cpuset-cpus",
        &["--cpuset-cpus", "0"],
        Shows("grep Cpus_allowed_list /proc/self/status", "\t0"),
    ),
    row(
        "--cpuset-cpus",
        &["--cpuset-cpus", "4000"],
        Refused("Requested CPUs are not available - requested 4000"),
    ),
    row(
        "--cpuset-mems",
        &["--cpuset-mems", "0"],
        Shows("grep Mems_allowed_list /proc/self/status", "\t0"),
    ),
    row(
        "--cpuset-mems",
        &["--cpuset-mems", "77"],
        Refused("Requested memory nodes are not available - requested 77"),
    ),
    row(
        "--device",
        &["--device", "/dev/loop0:/dev/pot:r"],
        Says(
            "(: < /dev/pot) && echo opened; (: > /dev/pot) 2> /dev/null || echo kept",
            "opened\nkept",
        ),
    ),
    row(
        "--device",
        &["--device", "/dev/no-such"],
        Refused("error gathering device information"),
    ),
    ours(
        "--device",
        &["--device", "vendor.test/class=none"],
        Refused("unresolvable CDI devices vendor.test/class=none"),
    ),
    row(
        "--device-cgroup-rule",
        &["--device-cgroup-rule", "c 13:* rwm"],
        Limit("devices", "devices.list", "c 13:* rwm"),
    ),
    row(
        "--device-cgroup-rule",
        &["--device-cgroup-rule", "nonsense"],
        Refused("nvalid device cgroup"),
    ),
    row(
        "--device-read-bps",
        &["--device-read-bps", "/dev/no-such:1mb"],
        Refused("no-such"),
    ),
    row(
        "--device-read-iops",
        &["--device-read-iops", "/dev/no-such:10"],
        Refused("no-such"),
    ),
    row(
        "--device-write-bps",
        &["--device-write-bps", "/dev/no-such:1mb"],
        Refused("no-such"),
    ),
    row(
        "--device-write-iops",
        &["--device-write-iops", "/dev/no-such:10"],
        Refused("no-such"),
    ),
    row(
        "--disable-content-trust",
        &["--disable-content-trust"],
        Says("echo ran", "ran"),
    ),
    row(
        "--dns",
        &["--dns", "10.9.8.7"],
        Shows("cat /etc/resolv.conf", "nameserver 10.9.8.7"),
    ),
    row(
        "--dns-opt",
        &["--dns-opt", "ndots:7"],
        Shows("cat /etc/resolv.conf", "options ndots:7"),
    ),
    row(
        "--dns-option",
        &["--dns-option", "ndots:9"],
        Shows("cat /etc/resolv.conf", "options ndots:9"),
    ),
    row(
        "--dns-search",
        &["--dns-search", "pots.test"],
        Shows("cat /etc/resolv.conf", "search pots.test"),
    ),
    row(
        "--domainname",
        &["--domainname", "pots.test"],
        Says("cat /proc/sys/kernel/domainname", "pots.test"),
    ),
    row(
        "--domainname",
        &["-h", "web", "--domainname", "pots.test"],
        Shows("cat /etc/hosts", "web.pots.test web"),
    ),
    row(
        "--entrypoint",
        &["--entrypoint", "echo"],
        Says("x", "sh -c x"),
    ),
    row("--env", &["-e", "POT=a b"], Says("echo \"$POT\"", "a b")),
    row(
        "--expose",
        &["--expose", "80-81/udp"],
        Inspect(
            "{{json .Config.ExposedPorts}}",
            r#"{"80/udp":{},"81/udp":{}}"#,
        ),
    ),
    ours(
        "--gpus",
        &["--gpus", "all"],
        Refused("could not select device driver \"\" with capabilities: [[gpu]]"),
    ),
    row(
        "--group-add",
        &["--group-add", "4242"],
        Shows("id -G", "4242"),
    ),
    row(
        "--group-add",
        &["--group-add", "no-such-group"],
        Refused("no-such-group"),
    ),
    row(
        "--hostname",
        &["-h", "pot"],
        Says(
            "hostname; cat /etc/hostname; echo $HOSTNAME",
            "pot\npot\npot",
        ),
    ),
    row(
        "--init",
        &["--init"],
        Says("[ $$ != 1 ] && grep -c init /proc/1/comm", "1"),
    ),
    row(
        "--ipc",
        &["--ipc", "none"],
        Says("ls /dev/shm 2>/dev/null || echo none", "none"),
    ),
    row(
        "--ipc",
        &["--ipc", "shareable"],
        Inspect("{{.HostConfig.IpcMode}}", "shareable"),
    ),
    row(
        "--ipc",
        &["--ipc", "nonsense"],
        Refused("nvalid IPC mode: nonsense"),
    ),
    row(
        "--ipc",
        &["--ipc", "container:no-such"],
        Refused("No such container: no-such"),
    ),
    row(
        "--isolation",
        &["--isolation", "default"],
        Says("echo ran", "ran"),
    ),
    row(
        "--isolation",
        &["--isolation", "hyperv"],
        Refused("nvalid isolation: \"hyperv\" - linux only supports 'default'"),
    ),
    ours(
        "--kernel-memory",
        &["--kernel-memory", "64m"],
        Inspect(
            "{{with index .HostConfig \"KernelMemory\"}}set{{else}}none{{end}}",
            "none",
        ),
    ),
    row(
        "--label",
        &["-l", "a=b"],
        Inspect("{{.Config.Labels.a}}", "b"),
    ),
    row(
        "--link",
        &["--link", "other"],
        Refused("could not get container for other"),
    ),
    ours(
        "--log-driver",
        &["--log-driver", "no-such"],
        Refused("no log driver named 'no-such' is registered"),
    ),
    row(
        "--log-opt",
        &["--log-opt", "max-size=1m"],
        Inspect("{{index .HostConfig.LogConfig.Config \"max-size\"}}", "1m"),
    ),
    row(
        "--log-opt",
        &["--log-opt", "no-such=1"],
        Refused("unknown log opt 'no-such' for json-file log driver"),
    ),
    row(
        "--memory",
        &["-m", "64m"],
        Limit("memory", "memory.limit_in_bytes", "67108864"),
    ),
    row(
        "--memory",
        &["-m", "1m"],
        Refused("Minimum memory limit allowed is 6MB"),
    ),
    row(
        "--memory-reservation",
        &["--memory-reservation", "32m"],
        Limit("memory", "memory.soft_limit_in_bytes", "33554432"),
    ),
    row(
        "--memory-reservation",
        &["-m", "16m", "--memory-reservation", "32m"],
        Refused("Minimum memory limit can not be less than memory reservation limit"),
    ),
    row(
        "--memory-swap",
        &["-m", "32m", "--memory-swap", "96m"],
        Limit("memory", "memory.memsw.limit_in_bytes", "100663296"),
    ),
    row(
        "--memory-swap",
        &["--memory-swap", "96m"],
        Refused("You should always set the Memory limit when using Memoryswap limit"),
    ),
    row(
        "--memory-swappiness",
        &["--memory-swappiness", "17"],
        Limit("memory", "memory.swappiness", "17"),
    ),
    row(
        "--memory-swappiness",
        &["--memory-swappiness", "170"],
        Refused("alid memory swappiness range is 0-100"),
    ),
    row(
        "--mount",
        &["--mount", "type=tmpfs,dst=/pot,tmpfs-size=1m"],
        Shows("grep ' /pot ' /proc/mounts", "size=1024k"),
    ),
    row(
        "--network",
        &["--network", "none"],
        Says("ls /sys/class/net | grep -c eth; true", "0"),
    ),
    row(
        "--network",
        &["--network", "container:"],
        Refused("nvalid container format container:<name|id>"),
    ),
    row(
        "--net",
        &["--net", "none"],
        Says("ls /sys/class/net | grep -c eth; true", "0"),
    ),
    row(
        "--oom-kill-disable",
        &["-m", "64m", "--oom-kill-disable"],
        Limit("memory", "memory.oom_control", "oom_kill_disable 1"),
    ),
    row(
        "--oom-kill-disable",
        &["--oom-kill-disable"],
        Warns(
            "echo ran",
            "ran",
            "OOM killer is disabled for the container, but no memory limit is set",
        ),
    ),
    row(
        "--oom-score-adj",
        &["--oom-score-adj", "321"],
        Says("cat /proc/self/oom_score_adj", "321"),
    ),
    row(
        "--oom-score-adj",
        &["--oom-score-adj", "1001"],
        Refused("range for oom score adj is [-1000, 1000]"),
    ),
    row("--pid", &["--pid", "nonsense"], Refused("invalid PID mode")),
    row("--pid", &["--pid", "container:no-such"], Refused("no-such")),
    row(
        "--pids-limit",
        &["--pids-limit", "77"],
        Limit("pids", "pids.max", "77"),
    ),
    row(
        "--platform",
        &["--platform", "linux/amd64"],
        Says("echo ran", "ran"),
    ),
    row(
        "--read-only",
        &["--read-only"],
        Says(
            "touch /x 2>/dev/null || echo kept; touch /dev/shm/x && echo but",
            "kept\nbut",
        ),
    ),
    row(
        "--restart",
        &["--restart", "on-failure:3"],
        Inspect(
            "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}",
            "on-failure 3",
        ),
    ),
    row(
        "--restart",
        &["--restart", "always"],
        Refused("cannot specify both --restart and --rm"),
    ),
    ours(
        "--runtime",
        &["--runtime", "no-such"],
        Refused("unknown or invalid runtime name: no-such"),
    ),
    row(
        "--security-opt",
        &["--security-opt", "no-new-privileges"],
        Says("grep NoNewPrivs /proc/self/status | cut -f2", "1"),
    ),
    row(
        "--security-opt",
        &["--security-opt", "no-new-privileges=false"],
        Says("grep NoNewPrivs /proc/self/status | cut -f2", "0"),
    ),
    row(
        "--security-opt",
        &["--security-opt", "seccomp=unconfined"],
        Says("grep Seccomp: /proc/self/status | cut -f2", "0"),
    ),
    row(
        "--security-opt",
        &["--security-opt", "systempaths=unconfined"],
        Says(MASKED, "1"),
    ),
    row(
        "--security-opt",
        &["--security-opt", "label=disable"],
        Says("echo ran", "ran"),
    ),
    row(
        "--security-opt",
        &["--security-opt", "apparmor=unconfined"],
        Says("echo ran", "ran"),
    ),
    row(
        "--security-opt",
        &["--security-opt", "no-new-privileges=x"],
        Refused("invalid --security-opt"),
    ),
    row(
        "--security-opt",
        &["--security-opt", "no=sense"],
        Refused("invalid --security-opt 2: \"no=sense\""),
    ),
    row(
        "--shm-size",
        &["--shm-size", "2m"],
        Shows("grep ' /dev/shm ' /proc/mounts", "size=2048k"),
    ),
    row(
        "--stop-signal",
        &["--stop-signal", "USR1"],
        Inspect("{{.Config.StopSignal}}", "USR1"),
    ),
    row(
        "--stop-signal",
        &["--stop-signal", "NOPE"],
        Refused("nvalid signal: NOPE"),
    ),
    row(
        "--stop-timeout",
        &["--stop-timeout", "7"],
        Inspect("{{.Config.StopTimeout}}", "7"),
    ),
    row(
        "--storage-opt",
        &["--storage-opt", "size=1g"],
        Refused("storage-opt"),
    ),
    row(
        "--sysctl",
        &["--sysctl", "net.ipv4.ip_forward=1"],
        Says("cat /proc/sys/net/ipv4/ip_forward", "1"),
    ),
    row(
        "--sysctl",
        &["--sysctl", "kernel.msgmax=9000"],
        Says("cat /proc/sys/kernel/msgmax", "9000"),
    ),
    row(
        "--sysctl",
        &["--sysctl", "vm.swappiness=1"],
        Refused("vm.swappiness"),
    ),
    row(
        "--tmpfs",
        &["--tmpfs", "/pot:size=1m,exec"],
        Shows("grep ' /pot ' /proc/mounts", "size=1024k"),
    ),
    row(
        "--tmpfs",
        &["--tmpfs", "pot"],
        Refused("ath must be absolute"),
    ),
    row(
        "--ulimit",
        &["--ulimit", "nofile=100:200"],
        Says("ulimit -Sn; ulimit -Hn", "100\n200"),
    ),
    row("--ulimit", &["--ulimit", "core=0"], Says("ulimit -c", "0")),
    row(
        "--user",
        &["-u", "1234:4321"],
        Says("id -u; id -g", "1234\n4321"),
    ),
    row(
        "--user",
        &["-u", "no-such-user"],
        Refused("unable to find user no-such-user"),
    ),
    row(
        "--userns",
        &["--userns", "host"],
        Inspect("{{.HostConfig.UsernsMode}}", "host"),
    ),
    row(
        "--userns",
        &["--userns", "nonsense"],
        Refused("invalid USER mode"),
    ),
    row("--uts", &["--uts", "nonsense"], Refused("invalid UTS mode")),
    row("--workdir", &["-w", "/a/b"], Says("pwd", "/a/b")),
    row(
        "--workdir",
        &["-w", "a/b"],
        Refused("it needs to be an absolute path"),
    ),
];
