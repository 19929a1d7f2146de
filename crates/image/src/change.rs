//! What the instructions of a Dockerfile do to an image's configuration; `import --change` and `commit --change` are some
//! of them. What they do to its files is the builder's.

use std::time::Duration;

use onggi_dockerfile::expand::{Lexer, Variables};
use onggi_dockerfile::instruction::{Command, Probe};
use onggi_dockerfile::{Dockerfile, Form, Instruction};
use onggi_model::Signal;
use onggi_model::ports::parse_publish;
use onggi_oci::image::{ContainerConfig, Empty, Healthcheck};

use crate::Error;

/// Instructions that change nothing but the configuration.
const COMMANDS: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// What runs a text unless SHELL says otherwise.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Changes a configuration by a text of instructions in several parts: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL,
/// ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.
///
/// # Errors
/// InvalidParameter, with Docker's text for other instructions.
pub fn apply(config: &mut ContainerConfig, changes: &[String]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let file = Dockerfile::parse(&changes.join("\n"))?;
    let keywords = file.statements.iter().map(|statement| &statement.keyword);
    for keyword in keywords {
        if !COMMANDS
            .iter()
            .any(|command| command.eq_ignore_ascii_case(keyword))
        {
            return Err(Error::ChangeCommand(keyword.to_lowercase()));
        }
    }
    let lexer = Lexer::new(file.directives.escape);
    let mut has_cmd = false;
    let instructions = file.statements.iter().map(Instruction::parse);
    for instruction in instructions.collect::<Result<Vec<_>, _>>()? {
        let env = config.env.clone();
        configure(config, &instruction, lexer, &|name| value(&env, name))?;
        match instruction {
            Instruction::Cmd(_) => has_cmd = true,
            // A command that was there is for the entrypoint that was there.
            Instruction::Entrypoint(_) if !has_cmd => config.cmd = None,
            _ => {}
        }
    }
    Ok(())
}

/// Changes a configuration by one instruction; others than those of the configuration change nothing.
///
/// # Errors
/// InvalidParameter: variables, ports or signals that are wrong.
pub fn configure(
    config: &mut ContainerConfig,
    instruction: &Instruction,
    lexer: Lexer,
    variables: &Variables<'_>,
) -> Result<(), Error> {
    let word = |text: &str| lexer.expand(text, variables).map(|expanded| expanded.text);
    match instruction {
        Instruction::Cmd(cmd) => {
            config.cmd = Some(command(&cmd.command, config.shell.as_deref()));
            config.args_escaped = false;
        }
        Instruction::Entrypoint(entrypoint) => {
            let given = !entrypoint.command.command.is_empty();
            config.entrypoint =
                given.then(|| command(&entrypoint.command, config.shell.as_deref()));
        }
        Instruction::Env(env) => {
            for pair in &env.variables {
                set(&mut config.env, &word(&pair.name)?, &word(&pair.value)?);
            }
        }
        Instruction::Label(label) => {
            for pair in &label.labels {
                config.labels.insert(word(&pair.name)?, word(&pair.value)?);
            }
        }
        Instruction::Expose(expose) => {
            for text in &expose.ports {
                for port in lexer.words(text, variables)? {
                    let ports =
                        parse_publish(&port).map_err(|error| Error::Change(error.to_string()))?;
                    let ports = ports.into_iter().map(|(port, _)| port.to_string());
                    config
                        .exposed_ports
                        .extend(ports.map(|port| (port, Empty {})));
                }
            }
        }
        Instruction::User(user) => config.user = word(&user.user)?,
        Instruction::Workdir(workdir) => {
            config.working_dir = absolute(&config.working_dir, &word(&workdir.path)?);
        }
        Instruction::Volume(volume) => {
            for path in &volume.volumes {
                config.volumes.insert(word(path)?, Empty {});
            }
        }
        Instruction::Stopsignal(stopsignal) => {
            let signal = word(&stopsignal.signal)?;
            signal
                .parse::<Signal>()
                .map_err(|error| Error::Change(error.to_string()))?;
            config.stop_signal = Some(signal);
        }
        Instruction::Healthcheck(check) => {
            config.healthcheck = Some(healthcheck(check.probe.as_ref()))
        }
        Instruction::Onbuild(onbuild) => config.on_build.push(onbuild.expression.clone()),
        Instruction::Shell(shell) => config.shell = Some(shell.shell.clone()),
        Instruction::Add(_)
        | Instruction::Arg(_)
        | Instruction::Copy(_)
        | Instruction::From(_)
        | Instruction::Maintainer(_)
        | Instruction::Run(_) => {}
    }
    Ok(())
}

/// A program with its arguments as it is; a text for the shell.
fn command(command: &Command, shell: Option<&[String]>) -> Vec<String> {
    match command.form {
        Form::Exec => command.command.clone(),
        Form::Shell => {
            let shell = match shell {
                Some(shell) => shell.to_vec(),
                None => SHELL.map(str::to_owned).to_vec(),
            };
            // Without words the shell stands alone.
            let text = Some(command.command.join(" ")).filter(|text| !text.is_empty());
            shell.into_iter().chain(text).collect()
        }
    }
}

/// The value of a variable in `NAME=value` lines, the last one of its name.
fn value(env: &[String], name: &str) -> Option<String> {
    let value = env
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
    value.map(str::to_owned)
}

fn set(env: &mut Vec<String>, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    match env.iter_mut().find(|e| e.split('=').next() == Some(name)) {
        Some(old) => *old = entry,
        None => env.push(entry),
    }
}

fn absolute(base: &str, path: &str) -> String {
    let joined = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{base}/{path}"),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn healthcheck(probe: Option<&Probe>) -> Healthcheck {
    let Some(probe) = probe else {
        return Healthcheck {
            test: Some(vec!["NONE".to_owned()]),
            ..Healthcheck::default()
        };
    };
    let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    Healthcheck {
        test: Some(probe.test.clone()),
        interval: nanoseconds(probe.interval),
        timeout: nanoseconds(probe.timeout),
        start_period: nanoseconds(probe.start_period),
        start_interval: nanoseconds(probe.start_interval),
        retries: i64::from(probe.retries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Result<ContainerConfig, String> {
        let mut config = ContainerConfig::default();
        let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
        apply(&mut config, &changes).map_err(|e| e.to_string())?;
        Ok(config)
    }

    #[test]
    fn every_instruction() {
        let config = changed(&[
            "CMD [\"sh\", \"-c\"]",
            "entrypoint echo hello world",
            "ENV A=1 B=\"two words\" C=a\\ b",
            "ENV PATH /bin:/usr/bin",
            "ENV PATH=/opt:$PATH D=${A}x E=${NO:-none} F=\\$A G='$A'",
            "LABEL a.b=c \"d e\"=f",
            "EXPOSE 80 53/udp 8000-8001",
            "USER app:app",
            "WORKDIR /srv",
            "WORKDIR app/../web",
            "VOLUME [\"/data\"]",
            "VOLUME /log /tmp/x",
            "STOPSIGNAL SIGUSR1",
            "HEALTHCHECK --interval=5s --retries=2 CMD curl -f http://localhost/",
            "ONBUILD RUN echo hi",
        ])
        .unwrap();
        assert_eq!(config.cmd.unwrap(), ["sh", "-c"]);
        assert_eq!(
            config.entrypoint.unwrap(),
            ["/bin/sh", "-c", "echo hello world"]
        );
        assert_eq!(
            config.env,
            [
                "A=1",
                "B=two words",
                "C=a b",
                "PATH=/opt:/bin:/usr/bin",
                "D=1x",
                "E=none",
                "F=$A",
                "G=$A"
            ]
        );
        assert_eq!(config.labels["a.b"], "c");
        assert_eq!(config.labels["d e"], "f");
        let ports: Vec<_> = config.exposed_ports.into_keys().collect();
        assert_eq!(ports, ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]);
        assert_eq!(
            (config.user.as_str(), config.working_dir.as_str()),
            ("app:app", "/srv/web")
        );
        let volumes: Vec<_> = config.volumes.into_keys().collect();
        assert_eq!(volumes, ["/data", "/log", "/tmp/x"]);
        assert_eq!(config.stop_signal.as_deref(), Some("SIGUSR1"));
        let check = config.healthcheck.unwrap();
        assert_eq!(
            check.test.unwrap(),
            ["CMD-SHELL", "curl -f http://localhost/"]
        );
        assert_eq!((check.interval, check.retries), (5_000_000_000, 2));
        assert_eq!(config.on_build, ["RUN echo hi"]);
    }

    #[test]
    fn an_entrypoint_takes_no_command_that_was_there() {
        let mut config = ContainerConfig {
            cmd: Some(vec!["old".to_owned()]),
            ..ContainerConfig::default()
        };
        apply(&mut config, &["ENTRYPOINT [\"a\"]".to_owned()]).unwrap();
        assert_eq!(config.cmd, None);
        let config = changed(&["CMD b", "ENTRYPOINT a"]).unwrap();
        assert_eq!(config.cmd.unwrap(), ["/bin/sh", "-c", "b"]);
        let config = changed(&["CMD", "ENTRYPOINT"]).unwrap();
        assert_eq!((config.cmd.unwrap().len(), config.entrypoint), (2, None));
    }

    #[test]
    fn lines_and_comments() {
        let config = changed(&["# nothing\nENV A=1 \\\n  B=2\n\nUSER x"]).unwrap();
        assert_eq!(config.env, ["A=1", "B=2"]);
        assert_eq!(config.user, "x");
    }

    #[test]
    fn what_is_refused() {
        for (change, text) in [
            ("RUN echo", "run is not a valid change command"),
            ("nonsense", "nonsense is not a valid change command"),
            ("", "file with no instructions"),
            ("LABEL", "LABEL requires at least one argument"),
            ("ENV A", "ENV must have two arguments"),
            ("ENV A=1 B", "can't find = in"),
            ("ENV A=\"open", "matching double-quote"),
            ("EXPOSE 99999", "invalid containerPort: 99999"),
            ("EXPOSE 80/xyz", "invalid proto: xyz"),
            ("STOPSIGNAL SIGNOT", "invalid signal: SIGNOT"),
            ("HEALTHCHECK CMD", "missing command after HEALTHCHECK CMD"),
            (
                "HEALTHCHECK --interval=1us CMD x",
                "cannot be less than 1ms",
            ),
            ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
            ("USER", "USER requires exactly one argument"),
        ] {
            let error = changed(&[change]).unwrap_err();
            assert!(error.contains(text), "{change}: {error}");
        }
    }
}
