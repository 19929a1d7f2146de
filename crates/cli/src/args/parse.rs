//! Arguments to matches, by the rules of Go's pflag.

use super::flag::{Flag, Kind};

/// Where the options of a command may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Positionals {
    /// Options and arguments may be mixed.
    Mixed,
    /// The first argument ends the options (`run IMAGE -x` is the container's `-x`).
    Last,
}

/// What was typed, checked against the table of a command.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    given: Vec<(&'static str, String)>,
    pub(crate) args: Vec<String>,
}

/// Why the arguments do not fit the table; `Display` is pflag's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("unknown flag: --{0}")]
    UnknownLong(String),
    #[error("unknown shorthand flag: {short:?} in -{cluster}")]
    UnknownShort { short: char, cluster: String },
    #[error("flag needs an argument: --{0}")]
    MissingLong(String),
    #[error("flag needs an argument: {short:?} in -{cluster}")]
    MissingShort { short: char, cluster: String },
    #[error("invalid argument {} for {flag:?} flag: {reason}", crate::quote(value))]
    Invalid {
        value: String,
        flag: String,
        reason: String,
    },
    #[error("bad flag syntax: {0}")]
    Syntax(String),
}

impl Matches {
    /// Whether the switch is on; its last mention counts.
    pub(crate) fn on(&self, long: &str) -> bool {
        self.on_or(long, false)
    }

    /// Whether the switch is on, with the value it has when it is not mentioned.
    pub(crate) fn on_or(&self, long: &str, default: bool) -> bool {
        match self.one(long) {
            Some(text) => matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True"),
            None => default,
        }
    }

    /// The value of a flag, if it was given; its last mention counts.
    pub(crate) fn one(&self, long: &str) -> Option<&str> {
        self.given
            .iter()
            .rev()
            .find(|(name, _)| *name == long)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a flag, or the empty text.
    pub(crate) fn text(&self, long: &str) -> &str {
        self.one(long).unwrap_or_default()
    }

    /// The value of a flag that was checked to be a whole number.
    pub(crate) fn int(&self, long: &str) -> Option<i64> {
        self.one(long)
            .and_then(|text| super::check::parse_int(text).ok())
    }

    /// All values of a repeated flag, in order.
    pub(crate) fn all<'a>(&'a self, long: &'a str) -> impl Iterator<Item = &'a str> {
        self.given
            .iter()
            .filter(move |(name, _)| *name == long)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a repeated flag, in order.
    pub(crate) fn list(&self, long: &str) -> Vec<String> {
        self.all(long).map(str::to_owned).collect()
    }

    /// Whether the flag was mentioned at all.
    pub(crate) fn given(&self, long: &str) -> bool {
        self.given.iter().any(|(name, _)| *name == long)
    }
}

/// Parses `args` by `flags`. `--help` is known everywhere.
pub(crate) fn parse(
    flags: &[&'static [Flag]],
    positionals: Positionals,
    args: &[String],
) -> Result<Matches, ParseError> {
    let mut matches = Matches::default();
    let mut rest = args.iter();
    let find = |wanted: &dyn Fn(&Flag) -> bool| {
        flags
            .iter()
            .flat_map(|table| table.iter())
            .chain(HELP)
            .find(|flag| wanted(flag))
    };
    while let Some(arg) = rest.next() {
        if let Some(name) = arg.strip_prefix("--") {
            if name.is_empty() {
                matches.args.extend(rest.cloned());
                break;
            }
            if name.starts_with(['-', '=']) {
                return Err(ParseError::Syntax(arg.clone()));
            }
            let (name, attached) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let flag = find(&|flag| flag.long == name)
                .ok_or_else(|| ParseError::UnknownLong(name.to_owned()))?;
            let value = match (attached, flag.kind) {
                (Some(value), _) => value,
                (None, Kind::Bool) => "true".to_owned(),
                (None, _) => rest
                    .next()
                    .cloned()
                    .ok_or_else(|| ParseError::MissingLong(name.to_owned()))?,
            };
            matches.take(flag, value)?;
        } else if arg.len() > 1 && arg.starts_with('-') {
            let mut cluster = &arg[1..];
            while let Some(short) = cluster.chars().next() {
                let after = &cluster[short.len_utf8()..];
                let flag = find(&|flag| flag.short == Some(short)).ok_or_else(|| {
                    ParseError::UnknownShort {
                        short,
                        cluster: cluster.to_owned(),
                    }
                })?;
                let (value, left) =
                    if let Some(value) = after.strip_prefix('=').filter(|_| after.len() > 1) {
                        (value.to_owned(), "")
                    } else if flag.kind == Kind::Bool {
                        ("true".to_owned(), after)
                    } else if !after.is_empty() {
                        (after.to_owned(), "")
                    } else {
                        let value =
                            rest.next()
                                .cloned()
                                .ok_or_else(|| ParseError::MissingShort {
                                    short,
                                    cluster: cluster.to_owned(),
                                })?;
                        (value, "")
                    };
                matches.take(flag, value)?;
                cluster = left;
            }
        } else {
            matches.args.push(arg.clone());
            if positionals == Positionals::Last {
                matches.args.extend(rest.cloned());
                break;
            }
        }
    }
    Ok(matches)
}

const HELP: &[Flag] = &[super::flag::switch(None, "help", "Print usage").hidden()];

impl Matches {
    fn take(&mut self, flag: &'static Flag, value: String) -> Result<(), ParseError> {
        (flag.check)(&value).map_err(|reason| ParseError::Invalid {
            value: value.clone(),
            flag: flag.shown(),
            reason,
        })?;
        self.given.push((flag.long, value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::super::flag::{list, switch, value};
    use super::*;

    const FLAGS: &[Flag] = &[
        switch(Some('i'), "interactive", ""),
        switch(Some('t'), "tty", ""),
        switch(None, "rm", ""),
        list(Some('v'), "volume", "list", ""),
        value(Some('n'), "last", "int", "").checked(check::int),
        list(Some('f'), "filter", "filter", "").checked(check::filter),
    ];

    fn run(args: &[&str], positionals: Positionals) -> Result<Matches, String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        parse(&[FLAGS], positionals, &args).map_err(|error| error.to_string())
    }

    #[test]
    fn clusters_and_attached_values() {
        let m = run(
            &["-itv", "a:b", "-v=c:d", "-ve:f", "--volume=g:h", "img"],
            Positionals::Mixed,
        )
        .unwrap();
        assert!(m.on("interactive") && m.on("tty") && !m.on("rm"));
        assert_eq!(m.list("volume"), ["a:b", "c:d", "e:f", "g:h"]);
        assert_eq!(m.args, ["img"]);
        assert!(!run(&["--rm=false"], Positionals::Mixed).unwrap().on("rm"));
        assert!(
            !run(&["-i", "-i=f"], Positionals::Mixed)
                .unwrap()
                .on("interactive")
        );
        assert_eq!(
            run(&["-n=-1"], Positionals::Mixed).unwrap().int("last"),
            Some(-1)
        );
    }

    #[test]
    fn the_first_argument_can_end_the_options() {
        let m = run(&["--rm", "img", "-t", "--", "x"], Positionals::Last).unwrap();
        assert_eq!(m.args, ["img", "-t", "--", "x"]);
        let m = run(&["a", "-t", "--", "-i"], Positionals::Mixed).unwrap();
        assert!(m.on("tty") && !m.on("interactive"));
        assert_eq!(m.args, ["a", "-i"]);
        assert_eq!(run(&["-"], Positionals::Mixed).unwrap().args, ["-"]);
    }

    #[test]
    fn errors_are_those_of_pflag() {
        for (args, expected) in [
            (&["--foo"][..], "unknown flag: --foo"),
            (&["-iZ"][..], "unknown shorthand flag: 'Z' in -Z"),
            (&["-f"][..], "flag needs an argument: 'f' in -f"),
            (&["--filter"][..], "flag needs an argument: --filter"),
            (
                &["-n", "x"][..],
                r#"invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax"#,
            ),
            (
                &["-f", "foo"][..],
                r#"invalid argument "foo" for "-f, --filter" flag: bad format of filter (expected name=value)"#,
            ),
            (
                &["--rm=foo"][..],
                r#"invalid argument "foo" for "--rm" flag: strconv.ParseBool: parsing "foo": invalid syntax"#,
            ),
            (&["---x"][..], "bad flag syntax: ---x"),
        ] {
            assert_eq!(run(args, Positionals::Mixed).unwrap_err(), expected);
        }
    }
}
