//! The flags of `run` and `create`: one table for parsing, help and completion. What they mean is in `request`.

use crate::args::check;
use crate::args::flag::Complete;
use crate::args::{Flag, list, switch, value};

/// Flags that `run` and `create` share.
pub(crate) const CREATE: &[Flag] = &[
    list(None, "add-host", "list", "Add a line to the container's hosts file (host:ip)")
        .checked(check::extra_host),
    list(None, "annotation", "map", "Add an annotation, which is handed to the OCI runtime")
        .default("map[]")
        .since(1, 43),
    list(Some('a'), "attach", "list", "Attach to STDIN, STDOUT or STDERR")
        .checked(check::attach)
        .completed(Complete::Words(&["stdin", "stdout", "stderr"])),
    value(
        None,
        "blkio-weight",
        "uint16",
        "Share of block IO, relative to others: 10 to 1000, or 0 for none",
    )
    .checked(check::uint16)
    .default("0"),
    list(None, "blkio-weight-device", "list", "Share of block IO on one device (PATH:WEIGHT)")
        .checked(check::device_weight)
        .default("[]"),
    list(None, "cap-add", "list", "Add a Linux capability")
        .completed(Complete::Words(super::words::CAPABILITIES)),
    list(None, "cap-drop", "list", "Take a Linux capability away")
        .completed(Complete::Words(super::words::CAPABILITIES)),
    value(None, "cgroup-parent", "string", "Cgroup to put the container's cgroup into"),
    value(
        None,
        "cgroupns",
        "string",
        "Cgroup namespace (host|private)\n'host':    that of the host\n'private': one of its own\n'':        as the daemon is configured (default)",
    )
    .completed(Complete::Words(&["host", "private"])),
    value(None, "cidfile", "string", "Write the container's ID to this file")
        .completed(Complete::Files),
    value(None, "cpu-count", "int", "Number of CPUs (Windows only)").checked(check::int).windows(),
    value(None, "cpu-percent", "int", "Share of the CPUs (Windows only)").checked(check::int).windows(),
    value(None, "cpu-period", "int", "Period of the CPU limit, in microseconds")
        .checked(check::int),
    value(None, "cpu-quota", "int", "CPU time in each period, in microseconds").checked(check::int),
    value(None, "cpu-rt-period", "int", "Period of the real-time limit, in microseconds")
        .checked(check::int),
    value(None, "cpu-rt-runtime", "int", "Real-time CPU time in each period, in microseconds")
        .checked(check::int),
    value(Some('c'), "cpu-shares", "int", "Share of CPU time, relative to others")
        .checked(check::int),
    value(None, "cpus", "decimal", "Number of CPUs, as in 1.5").checked(check::cpus),
    value(None, "cpuset-cpus", "string", "CPUs to run on (0-3, 0,1)"),
    value(None, "cpuset-mems", "string", "Memory nodes to take memory from (0-3, 0,1)"),
    list(None, "device", "list", "Give a device of the host to the container"),
    list(None, "device-cgroup-rule", "list", "Allow a class of devices (\"c 13:* rwm\")")
        .checked(check::device_cgroup_rule),
    list(None, "device-read-bps", "list", "Limit reading from a device, in bytes a second")
        .checked(check::device_bytes)
        .default("[]"),
    list(None, "device-read-iops", "list", "Limit reading from a device, in operations a second")
        .checked(check::device_iops)
        .default("[]"),
    list(None, "device-write-bps", "list", "Limit writing to a device, in bytes a second")
        .checked(check::device_bytes)
        .default("[]"),
    list(None, "device-write-iops", "list", "Limit writing to a device, in operations a second")
        .checked(check::device_iops)
        .default("[]"),
    switch(None, "disable-content-trust", "Do not check signatures (the only way: images are not signed that way)")
        .default("true"),
    list(None, "dns", "list", "DNS server for the container").checked(check::ip),
    list(None, "dns-opt", "list", "Option for the resolver").hidden(),
    list(None, "dns-option", "list", "Option for the resolver"),
    list(None, "dns-search", "list", "Domain to search names in").checked(check::dns_search),
    value(None, "domainname", "string", "NIS domain name of the container"),
    value(None, "entrypoint", "string", "Run this instead of the image's ENTRYPOINT"),
    list(Some('e'), "env", "list", "Set a variable of the environment").checked(check::env),
    list(None, "env-file", "list", "Read variables of the environment from a file")
        .completed(Complete::Files),
    list(None, "expose", "list", "Declare a port, or a range of ports"),
    list(None, "gpus", "gpu-request", "GPUs for the container ('all' for every one)")
        .checked(super::request::check_gpus),
    list(None, "group-add", "list", "Join a group besides the user's own"),
    value(None, "health-cmd", "string", "Command that tells whether the container is healthy"),
    value(None, "health-interval", "duration", "Time between two checks (ms|s|m|h)")
        .checked(check::duration)
        .default("0s"),
    value(None, "health-retries", "int", "Failures in a row until the container is unhealthy")
        .checked(check::int),
    value(
        None,
        "health-start-interval",
        "duration",
        "Time between two checks while the container starts (ms|s|m|h)",
    )
    .checked(check::duration)
    .default("0s")
    .since(1, 44),
    value(
        None,
        "health-start-period",
        "duration",
        "Time the container may take to start, in which failures do not count (ms|s|m|h)",
    )
    .checked(check::duration)
    .default("0s"),
    value(None, "health-timeout", "duration", "Time one check may take (ms|s|m|h)")
        .checked(check::duration)
        .default("0s"),
    switch(None, "help", "Print usage"),
    value(Some('h'), "hostname", "string", "Host name of the container"),
    switch(None, "init", "Run an init as process 1, which passes signals on and reaps processes"),
    switch(Some('i'), "interactive", "Keep STDIN open even if nobody is attached"),
    value(None, "io-maxbandwidth", "bytes", "Limit of IO bandwidth (Windows only)")
        .checked(check::bytes)
        .windows(),
    value(None, "io-maxiops", "uint", "Limit of IO operations (Windows only)")
        .checked(check::uint)
        .windows(),
    value(None, "ip", "string", "IPv4 address (172.30.100.104)"),
    value(None, "ip6", "string", "IPv6 address (2001:db8::33)"),
    value(None, "ipc", "string", "IPC namespace to use")
        .completed(Complete::Words(&["host", "none", "private", "shareable", "container:"])),
    value(None, "isolation", "string", "How the container is isolated (Windows only)"),
    value(None, "kernel-memory", "bytes", "Limit of kernel memory").checked(check::bytes),
    list(Some('l'), "label", "list", "Set a label of the container").checked(check::label),
    list(None, "label-file", "list", "Read labels from a file, one a line")
        .completed(Complete::Files),
    list(None, "link", "list", "Let the container reach another one by name")
        .checked(check::link)
        .completed(Complete::Containers),
    list(None, "link-local-ip", "list", "Link-local address of the container").checked(check::ip),
    value(None, "log-driver", "string", "Where the output is logged")
        .completed(Complete::Words(&["json-file", "local", "none"])),
    list(None, "log-opt", "list", "Option of the log driver"),
    value(None, "mac-address", "string", "MAC address of the container (92:d0:c6:0a:29:33)"),
    value(Some('m'), "memory", "bytes", "Limit of memory").checked(check::bytes),
    value(None, "memory-reservation", "bytes", "Limit of memory when the host runs short")
        .checked(check::bytes),
    value(
        None,
        "memory-swap",
        "bytes",
        "Limit of memory and swap together; -1 for as much swap as there is",
    )
    .checked(check::swap_bytes),
    value(None, "memory-swappiness", "int", "How eagerly memory is swapped out (0 to 100)")
        .checked(check::int)
        .default("-1"),
    list(None, "mount", "mount", "Mount a file system (type=bind,src=/a,dst=/b)")
        .checked(super::request::check_mount),
    value(None, "name", "string", "Name of the container"),
    list(None, "net", "network", "Network of the container")
        .checked(super::request::check_network)
        .hidden(),
    list(None, "net-alias", "list", "Name within the network").hidden(),
    list(None, "network", "network", "Network of the container")
        .checked(super::request::check_network)
        .completed(Complete::Networks),
    list(None, "network-alias", "list", "Further name of the container within the network"),
    switch(None, "no-healthcheck", "Run no health check, though the image has one"),
    value(None, "on-unhealthy", "string", "What happens when the health check fails: no, restart")
        .default("\"no\"")
        .completed(Complete::Words(&["no", "restart"])),
    switch(None, "oom-kill-disable", "Do not kill when memory runs out"),
    value(
        None,
        "oom-score-adj",
        "int",
        "How readily the host kills this when memory runs out (-1000 to 1000)",
    )
    .checked(check::int),
    value(None, "pid", "string", "PID namespace to use")
        .completed(Complete::Words(&["host", "container:"])),
    value(None, "pids-limit", "int", "Limit of processes (-1 for none)").checked(check::int),
    value(None, "platform", "string", "Platform of the image, if there are several")
        .since(1, 32)
        .completed(Complete::Words(super::words::PLATFORMS)),
    switch(None, "privileged", "Give the container every privilege of root on the host"),
    list(Some('p'), "publish", "list", "Publish a port on the host"),
    switch(Some('P'), "publish-all", "Publish every exposed port on some free port"),
    value(None, "pull", "string", "Pull the image first (\"always\", \"missing\", \"never\")")
        .default("\"missing\"")
        .completed(Complete::Words(&["always", "missing", "never"])),
    switch(Some('q'), "quiet", "Do not show the progress of the pull"),
    switch(None, "read-only", "Mount the root file system for reading only"),
    value(None, "restart", "string", "When the container is started again after it ended")
        .default("\"no\"")
        .completed(Complete::Words(&["always", "no", "on-failure", "unless-stopped"])),
    switch(None, "rm", "Remove the container and its anonymous volumes when it ends"),
    value(None, "runtime", "string", "OCI runtime that runs this container"),
    list(None, "security-opt", "list", "Security option"),
    value(None, "shm-size", "bytes", "Size of /dev/shm").checked(check::bytes),
    value(None, "stop-signal", "string", "Signal that stops the container")
        .completed(Complete::Words(super::words::SIGNALS)),
    value(None, "stop-timeout", "int", "Seconds the container has to stop before it is killed")
        .checked(check::int),
    list(None, "storage-opt", "list", "Option of the storage driver"),
    list(None, "sysctl", "map", "Set a kernel parameter of the container's namespaces")
        .checked(check::sysctl)
        .default("map[]"),
    list(None, "tmpfs", "list", "Mount a tmpfs at a directory"),
    switch(Some('t'), "tty", "Give the container a terminal"),
    list(None, "ulimit", "ulimit", "Resource limit (NAME=SOFT[:HARD])")
        .checked(super::request::check_ulimit)
        .default("[]"),
    switch(None, "use-api-socket", "Give the container the daemon's socket and your registry logins"),
    value(Some('u'), "user", "string", "User, by name or number (<name|uid>[:<group|gid>])"),
    value(None, "userns", "string", "User namespace to use").completed(Complete::Words(&["host"])),
    value(None, "uts", "string", "UTS namespace to use").completed(Complete::Words(&["host"])),
    list(Some('v'), "volume", "list", "Mount a volume or a directory of the host")
        .completed(Complete::Files),
    value(None, "volume-driver", "string", "Driver of the volumes"),
    list(None, "volumes-from", "list", "Mount what another container has mounted")
        .completed(Complete::Containers),
    value(Some('w'), "workdir", "string", "Directory the command runs in"),
];

/// Flags of `run` alone.
pub(crate) const RUN: &[Flag] = &[
    switch(
        Some('d'),
        "detach",
        "Run in the background and print the container's ID",
    ),
    value(
        None,
        "detach-keys",
        "string",
        "Keys that detach from the container",
    ),
    switch(None, "sig-proxy", "Pass signals on to the container").default("true"),
];
