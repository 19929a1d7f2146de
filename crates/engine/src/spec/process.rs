//! The process: arguments, environment, directory, rights.

use onggi_api::container::{Config, Ulimit};
use onggi_oci::runtime::{Process, Rlimit};

use super::security;
use crate::container::Record;
use crate::error::Result;

/// Where commands are looked up when nobody says otherwise.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The container's first process.
pub(crate) fn process(record: &Record) -> Result<Process> {
    let (config, host) = (&record.config, &record.host_config);
    let args = std::iter::once(&record.path)
        .chain(&record.args)
        .cloned()
        .collect();
    let options = security::options(host)?;
    Ok(Process {
        terminal: config.tty,
        args,
        env: environment(
            config,
            config.tty,
            &config.hostname,
            record.secrets.expose(),
        ),
        cwd: directory(&config.working_dir),
        capabilities: Some(security::capabilities(host)?),
        rlimits: rlimits(host.ulimits.as_deref().unwrap_or_default()),
        no_new_privileges: options.no_new_privileges,
        apparmor_profile: options.apparmor,
        oom_score_adj: Some(i32::try_from(host.oom_score_adj).unwrap_or_default()),
        ..Process::default()
    })
}

/// The default variables, overlaid with the container's, overlaid with `extra`. A name without `=` removes.
pub(crate) fn environment(
    config: &Config,
    tty: bool,
    hostname: &str,
    extra: &[String],
) -> Vec<String> {
    let mut variables = vec![PATH.to_owned()];
    if !hostname.is_empty() {
        variables.push(format!("HOSTNAME={hostname}"));
    }
    if tty {
        variables.push("TERM=xterm".to_owned());
    }
    for variable in config.env.iter().flatten().chain(extra) {
        let (name, set) = match variable.split_once('=') {
            Some((name, _)) => (name, true),
            None => (variable.as_str(), false),
        };
        let same = |v: &String| v.split_once('=').is_some_and(|(n, _)| n == name);
        match (variables.iter().position(same), set) {
            (Some(at), true) => variables[at].clone_from(variable),
            (Some(at), false) => drop(variables.remove(at)),
            (None, true) => variables.push(variable.clone()),
            (None, false) => {}
        }
    }
    variables
}

/// The working directory, `/` unless named.
pub(crate) fn directory(configured: &str) -> String {
    if configured.is_empty() {
        "/".to_owned()
    } else {
        configured.to_owned()
    }
}

fn rlimits(ulimits: &[Ulimit]) -> Vec<Rlimit> {
    let number = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    let rlimit = |ulimit: &Ulimit| Rlimit {
        kind: format!("RLIMIT_{}", ulimit.name.to_uppercase()),
        hard: number(ulimit.hard),
        soft: number(ulimit.soft),
    };
    ulimits.iter().map(rlimit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_variables_win_and_bare_names_remove() {
        let env = ["A=1", "PATH=/bin", "B=2", "A=3", "TERM"]
            .map(str::to_owned)
            .to_vec();
        let config = Config {
            env: Some(env),
            ..Config::default()
        };
        let made = environment(&config, true, "web", &["B".to_owned(), "C=".to_owned()]);
        assert_eq!(made, ["PATH=/bin", "HOSTNAME=web", "A=3", "C="]);
    }

    #[test]
    fn unlimited_is_the_greatest_number() {
        let ulimit = Ulimit {
            name: "core".to_owned(),
            hard: -1,
            soft: 0,
        };
        let limits = rlimits(&[ulimit]);
        assert_eq!(
            (limits[0].kind.as_str(), limits[0].hard, limits[0].soft),
            ("RLIMIT_CORE", u64::MAX, 0)
        );
    }
}
