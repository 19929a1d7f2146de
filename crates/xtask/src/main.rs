//! `cargo xtask`: build, check, show. Everything CI does can be done here by hand, with the same commands.
//!
//! Printing is this program's trade, so the lints against it are off here.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for the terminal"
)]

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

mod bench; // benchmarks: of the crates, beside Docker
mod ci; // what CI runs
#[path = "../../daemon/src/options.rs"]
#[allow(dead_code, reason = "the documentation needs a part of it")]
mod daemon_options; // the table of the daemon's keys and flags, for its page
mod dag; // the table of crates: its edges, its fences
mod demo; // containers on this machine, in a minute
mod documents; // generated parts and checked paths of the documents
mod fuzz; // inputs bent by chance
mod install; // programs to their places
mod packages; // Debian packages, in one list
mod programs; // cargo, and the programs it builds
mod test; // all gates
mod vm; // a guest with cgroup v2

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, check and show onggi")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build, start an engine of its own, run containers, clean up
    Demo,
    /// Run all gates: format, lints, crate table, documents, tests
    Test {
        /// Only tests whose name contains one of these
        filters: Vec<String>,
    },
    /// Hold the crates to the table in the root manifest, write the map into ARCHITECTURE.md
    Dag {
        /// Write nothing, fail if something is stale
        #[arg(long)]
        check: bool,
    },
    /// Write the generated parts of the documents
    Gen {
        /// Write nothing, fail if something is stale
        #[arg(long)]
        check: bool,
    },
    /// What CI runs
    Ci {
        /// Also the oracle, fuzzing, the demo, and the guests with cgroup v2 and systemd
        #[arg(long)]
        full: bool,
        /// With --full: seconds for each fuzz target
        #[arg(long, default_value_t = fuzz::SECONDS)]
        fuzz_seconds: u64,
    },
    /// Run the tests on inputs bent by chance, each for a time
    Fuzz {
        /// Seconds for each
        #[arg(long, default_value_t = fuzz::SECONDS)]
        seconds: u64,
        /// Only those whose name contains this
        filter: Option<String>,
    },
    /// Run the benchmarks of the crates, or one beside Docker
    #[command(args_conflicts_with_subcommands = true)]
    Bench {
        #[command(subcommand)]
        beside: Option<bench::Beside>,
        /// Given to `cargo bench`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run tests or a command in a guest with cgroup v2 (QEMU, no KVM needed)
    Vm {
        /// Run the tests of this package, or one target of them (several)
        #[arg(long = "tests", value_name = "PACKAGE[:TARGET]")]
        packages: Vec<String>,
        /// Run the tests of the installed service, in a Debian that systemd boots
        #[arg(long)]
        systemd: bool,
        /// Cut the power of a guest that pulls images, so many times
        #[arg(long, value_name = "COUNT")]
        power_cuts: Option<u32>,
        /// With --power-cuts: the daemon's syncs do nothing, which must be noticed
        #[arg(long, requires = "power_cuts")]
        without_syncs: bool,
        /// Programs as for use instead of those quick to build
        #[arg(long)]
        release: bool,
        /// Only tests whose name contains this
        #[arg(long)]
        filter: Option<String>,
        /// Copy this program into the guest's /bin, with its libraries (several)
        #[arg(long = "program", value_name = "PATH")]
        programs: Vec<PathBuf>,
        /// Seconds until the guest is given up
        #[arg(long, default_value_t = 900)]
        limit: u64,
        /// A shell command for the guest, after the tests
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Build for use and install: programs, units of systemd, group, completion
    Install {
        #[command(flatten)]
        place: install::Place,
        /// Take programs that are built already from this folder
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
    },
    /// Remove what `install` installed; data and group stay
    Uninstall {
        #[command(flatten)]
        place: install::Place,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nfailed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    // A copy that installs elsewhere, as in the guests, has no workspace and needs none.
    let root = programs::root();
    if root.is_dir() {
        std::env::set_current_dir(root)?;
    }
    match command {
        Command::Demo => demo::run(),
        Command::Test { filters } => test::run(&filters, test::Tier::Short),
        Command::Dag { check } => dag::run(check.into()),
        Command::Gen { check } => documents::run(check.into()),
        Command::Ci { full, fuzz_seconds } => ci::run(full, fuzz_seconds),
        Command::Fuzz { seconds, filter } => fuzz::run(seconds, filter.as_deref()),
        Command::Bench { beside, arguments } => bench::run(beside, &arguments),
        Command::Vm {
            packages,
            systemd,
            power_cuts,
            without_syncs,
            release,
            filter,
            programs,
            limit,
            command,
        } => {
            let build = if release {
                programs::Build::Release
            } else {
                programs::Build::Debug
            };
            let job = vm::Job {
                packages,
                filter,
                programs,
                build,
                full: std::env::var_os("ONGGI_FULL").is_some(),
                limit,
                command,
            };
            match power_cuts {
                Some(cuts) if without_syncs => vm::power_cuts(&job, cuts, vm::Syncs::Dropped),
                Some(cuts) => vm::power_cuts(&job, cuts, vm::Syncs::Kept),
                None if systemd => vm::systemd(&job),
                None => vm::run(&job),
            }
        }
        Command::Install { place, from } => install::run(&place, from),
        Command::Uninstall { place } => install::remove(&place),
    }
}
