//! `update`: other limits, another restart policy.

use onggi_api::container::{Resources, UpdateRequest};

use super::request::{bytes, restart_policy};
use crate::Cli;
use crate::args::check::parse_cpus;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, check, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    value(
        None,
        "blkio-weight",
        "uint16",
        "Share of block IO, relative to others: 10 to 1000, or 0 for none",
    )
    .checked(check::uint16)
    .default("0"),
    value(
        None,
        "cpu-period",
        "int",
        "Period of the CPU limit, in microseconds",
    )
    .checked(check::int),
    value(
        None,
        "cpu-quota",
        "int",
        "CPU time in each period, in microseconds",
    )
    .checked(check::int),
    value(
        None,
        "cpu-rt-period",
        "int",
        "Period of the real-time limit, in microseconds",
    )
    .checked(check::int),
    value(
        None,
        "cpu-rt-runtime",
        "int",
        "Real-time CPU time in each period, in microseconds",
    )
    .checked(check::int),
    value(
        Some('c'),
        "cpu-shares",
        "int",
        "Share of CPU time, relative to others",
    )
    .checked(check::int),
    value(None, "cpus", "decimal", "Number of CPUs, as in 1.5").checked(check::cpus),
    value(None, "cpuset-cpus", "string", "CPUs to run on (0-3, 0,1)"),
    value(
        None,
        "cpuset-mems",
        "string",
        "Memory nodes to take memory from (0-3, 0,1)",
    ),
    value(
        None,
        "kernel-memory",
        "bytes",
        "Limit of the kernel's memory (ignored: the kernel has it no more)",
    )
    .checked(check::bytes)
    .hidden(),
    value(Some('m'), "memory", "bytes", "Limit of memory").checked(check::bytes),
    value(
        None,
        "memory-reservation",
        "bytes",
        "Limit of memory when the host runs short",
    )
    .checked(check::bytes),
    value(
        None,
        "memory-swap",
        "bytes",
        "Limit of memory and swap together; -1 for as much swap as there is",
    )
    .checked(check::swap_bytes),
    value(
        None,
        "on-unhealthy",
        "string",
        "What happens when the health check fails: no, restart",
    )
    .completed(Complete::Words(&["no", "restart"])),
    value(None, "pids-limit", "int", "Limit of processes; -1 for none").checked(check::int),
    value(
        None,
        "restart",
        "string",
        "When the container is started again after it ended",
    )
    .completed(Complete::Words(&[
        "always",
        "no",
        "on-failure",
        "unless-stopped",
    ])),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Change the limits of containers",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Containers],
    ..command(&["container update", "update"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    if !FLAGS.iter().any(|flag| matches.given(flag.long)) {
        return Err(Error::new(
            "you must provide one or more flags when using this command",
        ));
    }
    let update = request(matches)?;
    let client = cli.client()?;
    super::create::check_on_unhealthy(cli, &client, matches)?;
    let mut warnings = Vec::new();
    let result = super::each(cli, &matches.args, |cli, name| {
        let answer = cli.block_on(client.container_update(name, &update))??;
        warnings.extend(answer.warnings.unwrap_or_default());
        Ok(Some(name.to_owned()))
    });
    for warning in warnings {
        cli.line(&warning)?;
    }
    result
}

fn request(matches: &Matches) -> Result<UpdateRequest> {
    let int = |name: &str| matches.int(name).unwrap_or(0);
    let text = |name: &str| matches.text(name).to_owned();
    let nano_cpus = match matches.one("cpus") {
        Some(cpus) => parse_cpus(cpus).map_err(Error::new)?,
        None => 0,
    };
    let restart_policy = match matches.text("restart") {
        "" => None,
        policy => Some(restart_policy(policy)?),
    };
    Ok(UpdateRequest {
        resources: Resources {
            blkio_weight: u16::try_from(int("blkio-weight")).unwrap_or(0),
            cpu_period: int("cpu-period"),
            cpu_quota: int("cpu-quota"),
            cpu_realtime_period: int("cpu-rt-period"),
            cpu_realtime_runtime: int("cpu-rt-runtime"),
            cpu_shares: int("cpu-shares"),
            nano_cpus,
            cpuset_cpus: text("cpuset-cpus"),
            cpuset_mems: text("cpuset-mems"),
            memory: bytes(matches, "memory")?,
            memory_reservation: bytes(matches, "memory-reservation")?,
            memory_swap: bytes(matches, "memory-swap")?,
            pids_limit: matches.int("pids-limit").filter(|limit| *limit != 0),
            ..Resources::default()
        },
        restart_policy,
        on_unhealthy: text("on-unhealthy"),
    })
}
