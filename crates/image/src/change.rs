//! The instructions of `import --change` and `commit --change`: the part of a Dockerfile that changes an image's configuration.
//!
//! The whole language, with stages and RUN, is the builder's.

use std::collections::BTreeMap;

use onggi_model::{Port, Signal, units};
use onggi_oci::image::{ContainerConfig, Empty, Healthcheck};

use crate::Error;

/// Changes a configuration by instructions, one a line: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL,
/// ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.
///
/// # Errors
/// InvalidParameter, with Docker's text for other instructions.
pub fn apply(config: &mut ContainerConfig, changes: &[String]) -> Result<(), Error> {
    let lines = changes.iter().flat_map(|change| joined(change));
    for line in lines {
        instruction(config, &line)?;
    }
    Ok(())
}

/// The instructions of a text: lines that end in a backslash go on, comments and empty lines are none.
fn joined(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        if open.is_empty() && (line.trim().is_empty() || line.trim_start().starts_with('#')) {
            continue;
        }
        match line.trim_end().strip_suffix('\\') {
            Some(start) => open.push_str(start),
            None => {
                open.push_str(line);
                lines.push(std::mem::take(&mut open));
            }
        }
    }
    if !open.trim().is_empty() {
        lines.push(open);
    }
    lines
}

fn instruction(config: &mut ContainerConfig, line: &str) -> Result<(), Error> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (word, rest) = (word.to_ascii_uppercase(), rest.trim());
    let refuse = |why: &str| Error::Change {
        command: word.clone(),
        why: why.to_owned(),
    };
    if rest.is_empty() && COMMANDS.contains(&word.as_str()) {
        return Err(refuse("requires at least one argument"));
    }
    match word.as_str() {
        "CMD" => {
            config.cmd = Some(command(rest, config.shell.as_deref()));
            config.args_escaped = false;
        }
        "ENTRYPOINT" => config.entrypoint = Some(command(rest, config.shell.as_deref())),
        "ENV" => {
            for (name, value) in pairs(rest, &config.env).map_err(refuse)? {
                set(&mut config.env, &name, &value);
            }
        }
        "LABEL" => config
            .labels
            .extend(pairs(rest, &config.env).map_err(refuse)?),
        "EXPOSE" => {
            for word in words(rest, &config.env).map_err(refuse)? {
                for port in
                    ports(&word).ok_or_else(|| refuse(&format!("invalid containerPort: {word}")))?
                {
                    config.exposed_ports.insert(port, Empty {});
                }
            }
        }
        "USER" => config.user = one(rest, &config.env).map_err(refuse)?,
        "WORKDIR" => {
            let path = one(rest, &config.env).map_err(refuse)?;
            config.working_dir = absolute(&config.working_dir, &path);
        }
        "VOLUME" => {
            let paths = match serde_json::from_str::<Vec<String>>(rest) {
                Ok(paths) => paths,
                Err(_) => words(rest, &config.env).map_err(refuse)?,
            };
            for path in paths {
                if path.trim().is_empty() {
                    return Err(refuse("specified volume can not be an empty string"));
                }
                config.volumes.insert(path, Empty {});
            }
        }
        "STOPSIGNAL" => {
            let signal = one(rest, &config.env).map_err(refuse)?;
            signal
                .parse::<Signal>()
                .map_err(|e| refuse(&e.to_string()))?;
            config.stop_signal = Some(signal);
        }
        "HEALTHCHECK" => {
            config.healthcheck = Some(healthcheck(rest).map_err(|why| refuse(&why))?);
        }
        "ONBUILD" => {
            let trigger = rest
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            if matches!(trigger.as_str(), "ONBUILD" | "MAINTAINER" | "FROM") {
                return Err(refuse(&format!(
                    "{trigger} isn't allowed as an ONBUILD trigger"
                )));
            }
            config.on_build.push(rest.to_owned());
        }
        _ => return Err(Error::ChangeCommand(word.to_lowercase())),
    }
    Ok(())
}

const COMMANDS: &[&str] = &[
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

/// `["a","b"]` as it is; anything else for the shell.
fn command(text: &str, shell: Option<&[String]>) -> Vec<String> {
    if let Ok(list) = serde_json::from_str::<Vec<String>>(text) {
        return list;
    }
    let mut command = match shell {
        Some(shell) => shell.to_vec(),
        None => vec!["/bin/sh".to_owned(), "-c".to_owned()],
    };
    command.push(text.to_owned());
    command
}

fn set(env: &mut Vec<String>, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    match env.iter_mut().find(|e| e.split('=').next() == Some(name)) {
        Some(old) => *old = entry,
        None => env.push(entry),
    }
}

/// `80`, `80/udp`, `8000-8002/tcp`.
fn ports(text: &str) -> Option<Vec<String>> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    if first > last {
        return None;
    }
    (first..=last)
        .map(|port| {
            let text = format!("{port}/{}", protocol.to_ascii_lowercase());
            text.parse::<Port>().ok().map(|_| text)
        })
        .collect()
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

fn healthcheck(text: &str) -> Result<Healthcheck, String> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        rest = after.trim_start();
        let (name, value) = flag
            .split_once('=')
            .ok_or(format!("Missing a value on flag: {flag}"))?;
        if name == "retries" {
            let retries: i64 = value
                .parse()
                .map_err(|_| format!("invalid retries {value:?}"))?;
            if retries < 0 {
                return Err(format!("--retries cannot be negative ({retries})"));
            }
            check.retries = retries;
            continue;
        }
        let duration = units::parse_duration(value).map_err(|e| e.to_string())?;
        let nanoseconds = i64::try_from(duration.as_nanos()).map_err(|_| "too long".to_owned())?;
        // Docker's least.
        if nanoseconds != 0 && nanoseconds < 1_000_000 {
            return Err(format!("Interval {name:?} cannot be less than 1ms"));
        }
        match name {
            "interval" => check.interval = nanoseconds,
            "timeout" => check.timeout = nanoseconds,
            "start-period" => check.start_period = nanoseconds,
            "start-interval" => check.start_interval = nanoseconds,
            _ => return Err(format!("Unknown flag: {name}")),
        }
    }
    let (kind, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let arguments = arguments.trim();
    check.test = Some(match kind.to_ascii_uppercase().as_str() {
        "NONE" if arguments.is_empty() => vec!["NONE".to_owned()],
        "NONE" => return Err("HEALTHCHECK NONE takes no arguments".to_owned()),
        "CMD" if arguments.is_empty() => {
            return Err("Missing command after HEALTHCHECK CMD".to_owned());
        }
        "CMD" => match serde_json::from_str::<Vec<String>>(arguments) {
            Ok(list) => std::iter::once("CMD".to_owned()).chain(list).collect(),
            Err(_) => vec!["CMD-SHELL".to_owned(), arguments.to_owned()],
        },
        other => return Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    });
    Ok(check)
}

/// Exactly one word: the whole rest of the line.
fn one(text: &str, env: &[String]) -> Result<String, &'static str> {
    let mut all = words(text, env)?;
    match all.len() {
        1 => Ok(all.remove(0)),
        _ => Err("requires exactly one argument"),
    }
}

/// `a=b "c d"=e`, or the old `a the whole rest`.
fn pairs(text: &str, env: &[String]) -> Result<BTreeMap<String, String>, &'static str> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = text
            .split_once(char::is_whitespace)
            .ok_or("must have two arguments")?;
        let value = expand(value.trim(), env)?;
        return Ok(BTreeMap::from([(name.to_owned(), value)]));
    }
    let mut found = BTreeMap::new();
    for word in words(text, env)? {
        let (name, value) = word
            .split_once('=')
            .ok_or("can't find = in an argument. Must be of the form: name=value")?;
        if name.is_empty() {
            return Err("names can not be blank");
        }
        found.insert(name.to_owned(), value.to_owned());
    }
    Ok(found)
}

/// Words apart by blanks, with quotes, backslashes and `$names` taken out.
fn words(text: &str, env: &[String]) -> Result<Vec<String>, &'static str> {
    let mut cursor = Cursor {
        rest: text.trim_start(),
        env,
    };
    let mut all = Vec::new();
    while !cursor.rest.is_empty() {
        all.push(cursor.word(true)?);
        cursor.rest = cursor.rest.trim_start();
    }
    Ok(all)
}

/// The whole text as one word.
fn expand(text: &str, env: &[String]) -> Result<String, &'static str> {
    Cursor { rest: text, env }.word(false)
}

/// What is left of a line.
struct Cursor<'a> {
    rest: &'a str,
    env: &'a [String],
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// One word; with `blanks` it ends at a blank.
    fn word(&mut self, blanks: bool) -> Result<String, &'static str> {
        let mut out = String::new();
        let mut quote = None;
        while let Some(c) = self.rest.chars().next() {
            if blanks && quote.is_none() && c.is_whitespace() {
                break;
            }
            self.next();
            match (c, quote) {
                ('\'' | '"', Some(open)) if open == c => quote = None,
                ('\'' | '"', None) => quote = Some(c),
                ('\\', None) => out.push(self.next().unwrap_or('\\')),
                ('\\', Some('"')) => match self.next() {
                    Some(escaped @ ('"' | '$' | '\\')) => out.push(escaped),
                    Some(other) => out.extend(['\\', other]),
                    None => out.push('\\'),
                },
                ('$', None | Some('"')) => out.push_str(&self.variable()?),
                _ => out.push(c),
            }
        }
        match quote {
            Some(_) => Err("unexpected end of statement while looking for matching quote"),
            None => Ok(out),
        }
    }

    /// What stands for `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+alternative}`; after the `$`.
    fn variable(&mut self) -> Result<String, &'static str> {
        let Some(inner) = self.rest.strip_prefix('{') else {
            let name = self.name();
            return Ok(if name.is_empty() {
                "$".to_owned()
            } else {
                self.value(&name)
            });
        };
        self.rest = inner;
        let name = self.name();
        let (body, rest) = self
            .rest
            .split_once('}')
            .ok_or("syntax error: missing '}'")?;
        self.rest = rest;
        let value = self.value(&name);
        if name.is_empty() {
            return Err("syntax error: bad substitution");
        }
        match (body, body.strip_prefix(":-"), body.strip_prefix(":+")) {
            ("", ..) => Ok(value),
            (_, Some(default), _) if value.is_empty() => expand(default, self.env),
            (_, Some(_), _) => Ok(value),
            (.., Some(_)) if value.is_empty() => Ok(value),
            (.., Some(other)) => expand(other, self.env),
            _ => Err("unsupported modifier in substitution"),
        }
    }

    fn name(&mut self) -> String {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !good(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let name = name.to_owned();
        self.rest = rest;
        name
    }

    fn value(&self, name: &str) -> String {
        let entry = self
            .env
            .iter()
            .rev()
            .find_map(|e| e.strip_prefix(name)?.strip_prefix('='));
        entry.unwrap_or_default().to_owned()
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
            ("CMD", "CMD: requires at least one argument"),
            ("ENV A", "ENV: must have two arguments"),
            ("ENV A=1 B", "can't find = in"),
            ("ENV A=\"open", "matching quote"),
            ("EXPOSE 99999", "invalid containerPort: 99999"),
            ("EXPOSE 80/xyz", "invalid containerPort: 80/xyz"),
            ("STOPSIGNAL SIGNOT", "STOPSIGNAL: "),
            ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
            (
                "HEALTHCHECK --interval=1us CMD x",
                "cannot be less than 1ms",
            ),
            ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
            ("USER a b", "requires exactly one argument"),
        ] {
            let error = changed(&[change]).unwrap_err();
            assert!(error.contains(text), "{change}: {error}");
        }
    }
}
