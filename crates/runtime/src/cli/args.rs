//! Flags by table, in the grammar of runc: `--flag value`, `--flag=value`, `-f value`, switches with an optional `=false`.

/// One flag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) short: Option<char>,
    pub(super) takes_value: bool,
    pub(super) help: &'static str,
}

impl Flag {
    pub(super) const fn switch(
        name: &'static str,
        short: Option<char>,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            short,
            takes_value: false,
            help,
        }
    }

    pub(super) const fn value(name: &'static str, short: Option<char>, help: &'static str) -> Self {
        Self {
            name,
            short,
            takes_value: true,
            help,
        }
    }
}

/// What was given.
#[derive(Debug, Default)]
pub(super) struct Given {
    values: Vec<(&'static str, String)>,
    /// Everything that is no flag.
    pub(super) words: Vec<String>,
}

impl Given {
    /// The last value of a flag.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    /// All values of a flag, in order.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values
            .iter()
            .filter(move |(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on.
    pub(super) fn on(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }
}

/// Where flags end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// At the first word: the rest is somebody else's.
    First,
    /// Flags and words mix; only `--` ends the flags.
    Anywhere,
}

/// Splits `args` into flags and words.
pub(super) fn parse(
    table: &[Flag],
    args: &[String],
    mode: Words,
) -> Result<(Given, Vec<String>), String> {
    let mut given = Given::default();
    let mut words = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            words.extend(args.cloned());
            break;
        }
        let Some(body) = arg.strip_prefix('-').filter(|body| !body.is_empty()) else {
            words.push(arg.clone());
            if mode == Words::First {
                words.extend(args.cloned());
                break;
            }
            continue;
        };
        // Go's flag packages take one dash or two.
        let body = body.strip_prefix('-').unwrap_or(body);
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let flag = table
            .iter()
            .find(|flag| flag.name == name || flag.short.is_some_and(|s| name == s.to_string()))
            .ok_or_else(|| format!("flag provided but not defined: -{name}"))?;
        let value = match (flag.takes_value, value) {
            (_, Some(value)) => value,
            (false, None) => "true".to_owned(),
            (true, None) => args
                .next()
                .cloned()
                .ok_or_else(|| format!("flag needs an argument: -{name}"))?,
        };
        given.values.push((flag.name, value));
    }
    Ok((given, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Flag] = &[
        Flag::value("bundle", Some('b'), ""),
        Flag::switch("detach", Some('d'), ""),
    ];

    fn split(line: &str, mode: Words) -> Result<(Given, Vec<String>), String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(TABLE, &args, mode)
    }

    #[test]
    fn runcs_forms() {
        for line in [
            "--bundle x -d id",
            "-b x --detach id",
            "--bundle=x --detach=true id",
            "id -b x -d",
        ] {
            let (given, words) = split(line, Words::Anywhere).expect(line);
            assert_eq!(given.value("bundle"), Some("x"), "{line}");
            assert!(given.on("detach"), "{line}");
            assert_eq!(words, ["id"], "{line}");
        }
        assert!(
            !split("-d=false", Words::First)
                .expect("parses")
                .0
                .on("detach")
        );
    }

    #[test]
    fn a_command_keeps_its_own_flags() {
        let (given, words) = split("-d id sh -c -b", Words::First).expect("parses");
        assert!(given.on("detach"));
        assert_eq!(words, ["id", "sh", "-c", "-b"]);
    }

    #[test]
    fn unknown_and_unfinished_flags_are_errors() {
        assert!(split("--nope", Words::Anywhere).is_err());
        assert!(split("id --bundle", Words::Anywhere).is_err());
    }
}
