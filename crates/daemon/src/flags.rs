//! The command line of `onggid`: dockerd's flags by dockerd's names, made of the table in `options`.
//!
//! Only what was typed, in the shape it has in the file; what it means together with the file is decided in `config`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};

use crate::config::Error;
use crate::options::{Entry, Kind, OPTIONS, Standing};

/// What was typed.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// `--config-file`.
    pub config_file: Option<PathBuf>,
    /// `--validate`.
    pub validate: bool,
    /// The rest, by the keys of the file (by the flag, where the file has none).
    pub values: Map<String, Value>,
}

/// The parser.
pub(crate) fn command() -> Command {
    let version = Arg::new("version").short('v').long("version");
    let arguments = OPTIONS
        .iter()
        .filter(|entry| !entry.flag.is_empty())
        .map(argument);
    Command::new("onggid")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A self-sufficient engine for containers")
        .disable_version_flag(true)
        .arg(
            version
                .action(ArgAction::Version)
                .help("Print version information and quit"),
        )
        .args(arguments)
}

fn argument(entry: &Entry) -> Arg {
    let mut help = entry.help.to_owned();
    match entry.standing {
        Standing::Works | Standing::Reloads if entry.default.is_empty() => {}
        Standing::Works | Standing::Reloads => help += &format!(" (default {})", entry.default),
        Standing::Idle(_, why) => help += &format!(" (no effect: {why})"),
        Standing::Refused(_, why) => help += &format!(" (refused: {why})"),
    }
    let arg = Arg::new(entry.flag).long(entry.flag).help(help);
    let arg = match entry.short {
        Some(letter) => arg.short(letter),
        None => arg,
    };
    match entry.kind {
        Kind::Bool => arg
            .value_name("bool")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true)
            .action(ArgAction::Set),
        Kind::Int => arg.value_name("int").action(ArgAction::Set),
        Kind::Text => arg.value_name("string").action(ArgAction::Set),
        Kind::Bytes => arg.value_name("bytes").action(ArgAction::Set),
        Kind::List => arg.value_name("list").action(ArgAction::Append),
        Kind::Map => arg.value_name("name=value").action(ArgAction::Append),
        Kind::Features => arg.value_name("name=bool").action(ArgAction::Append),
        Kind::Ulimits => arg.value_name("name=soft:hard").action(ArgAction::Append),
        Kind::Pools => arg
            .value_name("base=cidr,size=bits")
            .action(ArgAction::Append),
        Kind::Runtimes => arg.value_name("name=path").action(ArgAction::Append),
        Kind::Object => arg.value_name("json").action(ArgAction::Set),
    }
}

impl Flags {
    /// Reads what the parser found.
    ///
    /// # Errors
    /// A value that does not have the shape of its flag, in dockerd's words.
    pub(crate) fn read(matches: &ArgMatches) -> Result<Self, Error> {
        let mut flags = Self::default();
        for entry in OPTIONS.iter().filter(|entry| !entry.flag.is_empty()) {
            let Some(texts) = matches.get_many::<String>(entry.flag) else {
                continue;
            };
            let texts: Vec<_> = texts.map(String::as_str).collect();
            let value = value(entry, &texts)?;
            match entry.flag {
                "config-file" => flags.config_file = Some(texts.concat().into()),
                "validate" => flags.validate = value == Value::Bool(true),
                _ => drop(flags.values.insert(entry.name().to_owned(), value)),
            }
        }
        Ok(flags)
    }
}

/// The typed texts in the shape of the file.
fn value(entry: &Entry, texts: &[&str]) -> Result<Value, Error> {
    let last = texts.last().copied().unwrap_or_default();
    let invalid = |text: &str, why: &str| {
        let flag = entry.flag;
        Error::Invalid(format!(
            "invalid argument \"{text}\" for \"--{flag}\" flag: {why}"
        ))
    };
    let pair = |text: &str| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(invalid(text, "must be name=value")),
    };
    type Pair = Result<(String, Value), Error>;
    let object = |one: &dyn Fn(&str) -> Pair| {
        let all: Result<Map<_, _>, _> = texts.iter().map(|text| one(text)).collect();
        all.map(Value::Object)
    };
    match entry.kind {
        Kind::Bool => {
            let truth = truth(last).ok_or_else(|| invalid(last, "must be true or false"))?;
            Ok(Value::Bool(truth))
        }
        Kind::Int => match last.parse::<i64>() {
            Ok(number) => Ok(number.into()),
            Err(_) => Err(invalid(last, "must be a whole number")),
        },
        Kind::Text | Kind::Bytes => Ok(last.into()),
        Kind::List => Ok(texts.into()),
        Kind::Map => object(&|text| pair(text).map(|(name, value)| (name, value.into()))),
        Kind::Features => object(&|text| {
            let (name, value) = pair(text)?;
            let truth = truth(&value).ok_or_else(|| invalid(text, "must be name=true|false"))?;
            Ok((name, truth.into()))
        }),
        Kind::Ulimits => object(&|text| {
            let (name, value) = pair(text)?;
            let (soft, hard) = value.split_once(':').unwrap_or((&value, &value));
            match (soft.parse::<i64>(), hard.parse::<i64>()) {
                (Ok(soft), Ok(hard)) => {
                    let ulimit = json!({"Name": name, "Soft": soft, "Hard": hard});
                    Ok((name, ulimit))
                }
                _ => Err(invalid(text, "must be name=soft[:hard]")),
            }
        }),
        Kind::Pools => {
            let pool = |text: &&str| {
                let (mut base, mut size) = (None, None);
                for part in text.split(',') {
                    match part.split_once('=') {
                        Some(("base", value)) => base = Some(value.to_owned()),
                        Some(("size", value)) => size = value.parse::<u8>().ok(),
                        _ => return Err(invalid(text, "must be base=CIDR,size=BITS")),
                    }
                }
                match (base, size) {
                    (Some(base), Some(size)) => Ok(json!({"base": base, "size": size})),
                    _ => Err(invalid(text, "must be base=CIDR,size=BITS")),
                }
            };
            texts.iter().map(pool).collect()
        }
        Kind::Runtimes => object(&|text| {
            let (name, path) = pair(text)?;
            Ok((name, json!({"path": path})))
        }),
        Kind::Object => {
            serde_json::from_str(last).map_err(|error| invalid(last, &error.to_string()))
        }
    }
}

/// Go's `strconv.ParseBool`.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
