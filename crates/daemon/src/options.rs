//! Every key of `daemon.json` and every flag of dockerd, one entry each: the parser, `--help`, the check of the file and
//! `docs/DAEMON.md` are made of this table.
//!
//! Pure data, and nothing of this workspace is used here: `cargo xtask gen` reads this very file. What a value means
//! is decided in `settle`.

/// What a value looks like, on the command line and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `--flag`, `--flag=false`; `true`.
    Bool,
    /// A whole number.
    Int,
    /// Text.
    Text,
    /// `64M`; text or a number of bytes in the file.
    Bytes,
    /// The flag may be repeated; a list of texts.
    List,
    /// `--flag name=value`, repeated; an object of texts.
    Map,
    /// `--flag name=true`, repeated; an object of truths.
    Features,
    /// `--flag nofile=1024:2048`, repeated; an object of `{"Name", "Soft", "Hard"}`.
    Ulimits,
    /// `--flag base=10.0.0.0/8,size=24`, repeated; a list of `{"base", "size"}`.
    Pools,
    /// `--flag name=/path`, repeated; an object of `{"path", "runtimeArgs"}`.
    Runtimes,
    /// An object, in the file alone.
    Object,
}

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It takes effect.
    Works,
    /// It takes effect, and SIGHUP takes up a new value from the file.
    Reloads,
    /// It is taken and changes nothing; anything but the first text is answered with a warning that says why.
    Idle(&'static str, &'static str),
    /// It is refused with the reason, but for the first text, which asks for what is so anyway.
    Refused(&'static str, &'static str),
}

/// One key, one flag, or both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// In the file; empty where there is only a flag.
    pub(crate) key: &'static str,
    /// On the command line, without dashes; empty where there is only a key.
    pub(crate) flag: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) kind: Kind,
    /// As the documentation shows it.
    pub(crate) default: &'static str,
    pub(crate) help: &'static str,
    pub(crate) standing: Standing,
}

impl Entry {
    const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    const fn default(mut self, text: &'static str) -> Self {
        self.default = text;
        self
    }

    const fn reloads(mut self) -> Self {
        self.standing = Standing::Reloads;
        self
    }

    const fn idle(mut self, unless: &'static str, why: &'static str) -> Self {
        self.standing = Standing::Idle(unless, why);
        self
    }

    const fn refused(mut self, unless: &'static str, why: &'static str) -> Self {
        self.standing = Standing::Refused(unless, why);
        self
    }

    /// What messages call it.
    pub(crate) const fn name(&self) -> &'static str {
        if self.key.is_empty() {
            self.flag
        } else {
            self.key
        }
    }
}

/// A key and a flag.
const fn both(key: &'static str, flag: &'static str, kind: Kind, help: &'static str) -> Entry {
    Entry {
        key,
        flag,
        short: None,
        kind,
        default: "",
        help,
        standing: Standing::Works,
    }
}

/// A key and a flag of the same name.
const fn same(name: &'static str, kind: Kind, help: &'static str) -> Entry {
    both(name, name, kind, help)
}

/// Only on the command line.
const fn flag(name: &'static str, kind: Kind, help: &'static str) -> Entry {
    both("", name, kind, help)
}

/// Only in the file.
const fn key(name: &'static str, kind: Kind, help: &'static str) -> Entry {
    both(name, "", kind, help)
}

const SWARM: &str = "swarm is not there yet: leave it away";
const CONTAINERD: &str = "no containerd is used: containers are made by a library";
const OWN_RULES: &str = "published ports and isolation are rules of the engine's own nftables table, which touches no other table";

/// The table.
#[rustfmt::skip]
pub(crate) const OPTIONS: &[Entry] = {
    use Kind::{Bool, Bytes, Features, Int, List, Map, Object, Pools, Runtimes, Text, Ulimits};
    &[
        both("runtimes", "add-runtime", Runtimes, "Register an additional OCI runtime").reloads(),
        same("allow-direct-routing", Bool, "Allow access to ports of containers on bridge networks from other hosts").refused("false", "containers are reached by published ports: leave it away"),
        both("allow-nondistributable-artifacts", "allow-nondistributable-artifacts", List, "Push of nondistributable artifacts").idle("", "every layer is pushed as it is"),
        same("api-cors-header", Text, "CORS headers of the API").refused("", "the API sends no CORS headers: put a proxy in front that does"),
        both("authorization-plugins", "authorization-plugin", List, "Authorization plugins").refused("", "authorization plugins are not there yet: restrict who may open the socket (--group), or put a proxy in front"),
        same("bip", Text, "Address and prefix of the default bridge"),
        same("bip6", Text, "IPv6 address and prefix of the default bridge").default("by fixed-cidr-v6, else a /64 of fd00::/8"),
        same("bridge", Text, "Name of the default bridge (\"none\": no bridge)").short('b').default("onggi0"),
        same("bridge-accept-fwmark", Text, "Mark of packets that enter bridge networks unasked").refused("", "packets are not let in by mark: publish the port"),
        key("builder", Object, "Builder: \"gc\" with \"enabled\" and \"defaultKeepStorage\", bytes that its cache may take").default("a tenth of the disk").reloads(),
        both("cdi-spec-dirs", "cdi-spec-dir", List, "Folders with specifications of CDI devices").default("/etc/cdi, /var/run/cdi"),
        same("cgroup-parent", Text, "Parent control group of containers that name none").default("/onggi"),
        both("cluster-advertise", "cluster-advertise", Text, "Address to advertise").refused("", SWARM),
        both("cluster-store", "cluster-store", Text, "URL of the distributed storage").refused("", SWARM),
        both("cluster-store-opts", "cluster-store-opt", Map, "Options of the distributed storage").refused("", SWARM),
        flag("config-file", Text, "Daemon configuration file").default("/etc/onggi/daemon.json"),
        same("containerd", Text, "Address of containerd").idle("", CONTAINERD),
        same("containerd-namespace", Text, "Namespace of containerd").idle("moby", CONTAINERD),
        both("containerd-plugin-namespace", "containerd-plugins-namespace", Text, "Namespace of containerd for plugins").idle("plugins.moby", CONTAINERD),
        same("cri-containerd", Bool, "Start containerd with CRI").refused("false", CONTAINERD),
        same("cpu-rt-period", Int, "CPU real-time period of the parent control group").refused("0", "real-time groups are not set up: leave it away"),
        same("cpu-rt-runtime", Int, "CPU real-time runtime of the parent control group").refused("0", "real-time groups are not set up: leave it away"),
        same("data-root", Text, "Root directory of persistent state").default("/var/lib/onggi"),
        same("debug", Bool, "Debug mode").short('D').default("false").reloads(),
        both("default-address-pools", "default-address-pool", Pools, "Pools that subnets of networks are taken from"),
        same("default-cgroupns-mode", Text, "Control group namespace of containers that name none: host, private").default("private on cgroup v2, host on v1"),
        same("default-gateway", Text, "Default gateway of containers on the default bridge").default("the bridge"),
        same("default-gateway-v6", Text, "IPv6 default gateway of containers on the default bridge").default("the bridge"),
        same("default-ipc-mode", Text, "IPC of containers that name none: shareable, private").default("private").reloads(),
        both("default-network-opts", "default-network-opt", Object, "Options of networks that name none").refused("", "networks take their options when they are made: leave it away"),
        same("default-runtime", Text, "OCI runtime of containers that name none").default("onggi").reloads(),
        same("default-shm-size", Bytes, "Size of /dev/shm of containers that name none").default("64MiB").reloads(),
        both("default-ulimits", "default-ulimit", Ulimits, "Ulimits of containers that name none"),
        same("deprecated-key-path", Text, "Path of the key that identified the daemon").idle("", "the daemon has no such key"),
        same("dns", List, "Resolvers of containers, instead of the host's"),
        both("dns-opts", "dns-opt", List, "Resolver options of containers"),
        same("dns-search", List, "Search domains of containers"),
        both("exec-opts", "exec-opt", List, "Execution options: native.cgroupdriver=cgroupfs").default("native.cgroupdriver=cgroupfs"),
        same("exec-root", Text, "Root directory of run-time state").default("/run/onggi"),
        same("experimental", Bool, "Experimental features").idle("false", "there are no experimental features to switch on"),
        both("features", "feature", Features, "Features by name").reloads(),
        same("firewall-backend", Text, "Backend of the firewall").refused("nftables", OWN_RULES),
        same("fixed-cidr", Text, "Part of the bridge's subnet that containers get addresses of"),
        same("fixed-cidr-v6", Text, "Part of the bridge's IPv6 subnet that containers get addresses of; without bip6 the subnet"),
        same("graph", Text, "Root directory of persistent state").short('g').refused("", "use --data-root"),
        same("group", Text, "Group of the unix socket").short('G').default("onggi, where it exists"),
        both("host-gateway-ips", "host-gateway-ip", List, "Addresses of the special name host-gateway in --add-host, one of a family").default("the bridge's"),
        both("hosts", "host", List, "Addresses to listen on: unix://PATH, fd://, tcp://HOST:PORT").short('H').default("unix:///run/onggi/onggi.sock"),
        same("http-proxy", Text, "Proxy of registries reached by http (in the file: below \"proxies\")").default("$HTTP_PROXY"),
        same("https-proxy", Text, "Proxy of registries reached by https (in the file: below \"proxies\")").default("$HTTPS_PROXY"),
        same("no-proxy", Text, "Names that are reached without a proxy (in the file: below \"proxies\")").default("$NO_PROXY"),
        same("icc", Bool, "Containers of the default bridge reach each other").default("true"),
        same("init", Bool, "Run an init in containers that say neither").default("false"),
        same("init-path", Text, "Program of the init").default("onggi-init"),
        both("insecure-registries", "insecure-registry", List, "Registries spoken to without TLS or without verification").default("loopback").reloads(),
        same("insecure-tcp", Bool, "Allow tcp sockets that do not verify their clients: whoever reaches the port is root on this machine").default("false"),
        same("ip", Text, "Host address of published ports that name none").default("0.0.0.0"),
        same("ip-forward", Bool, "Switch net.ipv4.ip_forward on").default("true"),
        same("ip-forward-no-drop", Bool, "Leave the policy of the FORWARD chain").idle("true", "policies of other tables are never changed"),
        same("ip-masq", Bool, "Containers reach the outside under the host's addresses").default("true"),
        same("ip6tables", Bool, "Rules of IPv6, in a table of our own; without them no port is published and networks are not kept apart").default("true"),
        same("iptables", Bool, "Rules of IPv4, in a table of our own; without them no port is published and networks are not kept apart").default("true"),
        same("ipv6", Bool, "IPv6 on the default bridge").default("false"),
        both("labels", "label", List, "key=value labels of the daemon").reloads(),
        same("live-restore", Bool, "Containers run on when the daemon stops").default("true").reloads(),
        same("log-driver", Text, "Log driver of containers that name none").default("json-file"),
        same("log-format", Text, "Format of the daemon's log: text, json").default("text"),
        same("log-level", Text, "Level of the daemon's log: debug, info, warn, error, fatal").short('l').default("info"),
        both("log-opts", "log-opt", Map, "Log options of containers with the default driver").default("max-size=20m, max-file=5 (binary)"),
        same("max-concurrent-downloads", Int, "Layers downloaded at a time").default("3").reloads(),
        same("max-concurrent-uploads", Int, "Layers uploaded at a time; of those up to 1 MiB four times as many, unless it is 1").default("5").reloads(),
        same("max-download-attempts", Int, "Tries of a download that makes no progress").default("5").reloads(),
        same("metrics-addr", Text, "Address, host:port, that serves /metrics to Prometheus"),
        same("min-api-version", Text, "Oldest version of the API that is served").refused("1.24", "every version from 1.24 on is served: leave it away"),
        same("mtu", Int, "MTU of the default bridge").default("1500"),
        both("network-control-plane-mtu", "network-control-plane-mtu", Int, "MTU of the control plane").refused("1500", SWARM),
        same("no-docker-socket", Bool, "Do not serve /run/docker.sock when nobody else does").default("false"),
        same("no-new-privileges", Bool, "Set no-new-privileges for containers that say neither").default("false"),
        both("node-generic-resources", "node-generic-resource", List, "Resources for the scheduler").refused("", SWARM),
        same("oom-score-adjust", Int, "oom_score_adj of the daemon").refused("0", "set OOMScoreAdjust= in the unit of systemd"),
        same("pidfile", Text, "File with the daemon's pid").short('p').default("/run/onggi/onggid.pid"),
        key("proxies", Object, "http-proxy, https-proxy and no-proxy"),
        same("publish-policy", Text, "Whose rules published ports obey: docker (none but ours), host (the host's input rules too)").default("docker"),
        same("raw-logs", Bool, "No colours in the daemon's log").default("false"),
        same("registry-config-dir", Text, "Folder with registries.d (mirrors of any registry) and certs.d (certificates); Docker's certs.d counts too").default("/etc/onggi").reloads(),
        both("registry-mirrors", "registry-mirror", List, "Mirrors of docker.io").reloads(),
        flag("rootless", Bool, "Rootless mode").refused("false", "rootless mode is not there yet: run the daemon as root"),
        same("seccomp-profile", Text, "Seccomp profile of containers that name none: a path, builtin, unconfined").default("builtin"),
        same("selinux-enabled", Bool, "SELinux labels").refused("false", "SELinux labels are not there yet: leave it away"),
        same("shutdown-timeout", Int, "Seconds that containers get to stop where live-restore is off").default("15").reloads(),
        same("storage-driver", Text, "Storage driver: overlay2").short('s').default("overlay2"),
        both("storage-opts", "storage-opt", List, "Options of the storage driver").refused("overlay2.override_kernel_check=true", "the storage driver has no options: leave it away"),
        same("swarm-default-advertise-addr", Text, "Address or interface of the swarm").refused("", SWARM),
        both("swarm-raft-heartbeat-tick", "swarm-raft-heartbeat-tick", Int, "Raft heartbeat").refused("0", SWARM),
        both("swarm-raft-election-tick", "swarm-raft-election-tick", Int, "Raft election").refused("0", SWARM),
        same("tls", Bool, "TLS on tcp sockets; without --tlsverify anybody may connect (needs --insecure-tcp)").default("false"),
        same("tlscacert", Text, "Authority that clients' certificates are signed by"),
        same("tlscert", Text, "The daemon's certificate"),
        same("tlskey", Text, "The key of the daemon's certificate"),
        same("tlsverify", Bool, "TLS on tcp sockets, clients verified").default("false"),
        same("userland-proxy", Bool, "A proxy process for each published port").idle("false", "published ports need no proxy process"),
        same("userland-proxy-path", Text, "Program of the proxy").idle("", "published ports need no proxy process"),
        same("userns-remap", Text, "User and group for user namespaces").refused("", "user namespaces are not there yet: leave it away"),
        flag("validate", Bool, "Check the configuration and exit"),
    ]
};

/// `docs/DAEMON.md`: the table for readers.
#[allow(dead_code, reason = "used where `cargo xtask gen` includes this file")]
pub(crate) fn markdown() -> String {
    let mut works =
        String::from("| key | flag | default | what | on SIGHUP |\n|---|---|---|---|---|\n");
    let mut idle = String::from("| key | flag | why |\n|---|---|---|\n");
    let mut refused =
        String::from("| key | flag | but | why, and what instead |\n|---|---|---|---|\n");
    let code = |text: &str| match text {
        "" => String::new(),
        text => format!("`{text}`"),
    };
    for entry in OPTIONS {
        let key = code(entry.key);
        let flag = match (entry.flag, entry.short) {
            ("", _) => String::new(),
            (flag, Some(letter)) => format!("`-{letter}`, `--{flag}`"),
            (flag, None) => format!("`--{flag}`"),
        };
        match entry.standing {
            Standing::Works | Standing::Reloads => {
                let reloads = if entry.standing == Standing::Reloads {
                    "taken up"
                } else {
                    ""
                };
                let (default, help) = (entry.default, entry.help);
                works += &format!("| {key} | {flag} | {default} | {help} | {reloads} |\n");
            }
            Standing::Idle(_, why) => idle += &format!("| {key} | {flag} | {why} |\n"),
            Standing::Refused(unless, why) => {
                refused += &format!("| {key} | {flag} | {} | {why} |\n", code(unless));
            }
        }
    }
    format!(
        "## What works\n\n{works}\n## Taken without effect\n\nA value that would change something is answered with a \
         warning.\n\n{idle}\n## Refused\n\nThe daemon does not start with these. *But*: the value that asks for \
         what is so anyway, and is taken.\n\n{refused}"
    )
}
