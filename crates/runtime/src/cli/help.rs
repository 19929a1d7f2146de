//! Usage texts, the version, and `features`.

use std::io::Write;

use super::args::Flag;
use super::{COMMANDS, Call, Command, Failure, GLOBAL, Outcome};

pub(super) fn version() -> String {
    format!(
        "onggi-runtime version {}\nspec: {}\n",
        env!("CARGO_PKG_VERSION"),
        onggi_oci::runtime::VERSION
    )
}

pub(super) fn usage() -> String {
    let mut text = String::from(
        "onggi-runtime runs containers by OCI bundles.\n\nUsage: onggi-runtime [global options] command [options] [arguments]\n\nCommands:\n",
    );
    for command in COMMANDS {
        text.push_str(&format!("  {:<10} {}\n", command.name, command.summary));
    }
    text.push_str("\nGlobal options:\n");
    text.push_str(&flags(GLOBAL));
    text
}

pub(super) fn of(command: &Command) -> String {
    format!(
        "Usage: onggi-runtime {} [options] {}\n\n{}\n{}{}",
        command.name,
        command.arguments,
        command.summary,
        if command.flags.is_empty() {
            ""
        } else {
            "\nOptions:\n"
        },
        flags(command.flags)
    )
}

fn flags(table: &[Flag]) -> String {
    table
        .iter()
        .map(|flag| {
            let short = flag.short.map(|s| format!("-{s}, ")).unwrap_or_default();
            let value = if flag.takes_value { " value" } else { "" };
            let left = format!("{short}--{}{value}", flag.name);
            format!("  {left:<26} {}\n", flag.help)
        })
        .collect()
}

/// runtime-spec, "features": what engines ask before they write a configuration.
pub(super) fn features(_: &Call) -> Outcome {
    let capabilities: Vec<String> = onggi_sys::capability::NAMES
        .iter()
        .map(|name| format!("CAP_{name}"))
        .collect();
    let document = serde_json::json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": onggi_oci::runtime::VERSION,
        "hooks": [],
        "mountOptions": crate::options::known(),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "uts"],
            "capabilities": capabilities,
            "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false},
            "seccomp": {
                "enabled": true,
                "actions": ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"],
                "operators": ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"],
                "archs": ["SCMP_ARCH_X86_64"],
                "knownFlags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_LOG"],
                "supportedFlags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_LOG"],
            },
            "apparmor": {"enabled": true},
            "selinux": {"enabled": false},
            "intelRdt": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": false}},
        },
    });
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::Text(error.to_string()))?;
    writeln!(std::io::stdout(), "{text}").map_err(Failure::io("standard output"))?;
    Ok(0)
}
