//! `builder du`: what is kept of builds, and how much of it may go.

use onggi_model::units::human_size;
use serde_json::Value;

use crate::Cli;
use crate::args::{Flag, Matches, list, switch, value};
use crate::command::{Command, command};
use crate::container::ls::FORMAT_HELP;
use crate::error::{Error, Result};
use crate::format::rows::Options;
use crate::format::{Column, List, column};
use crate::text::ago;

const FLAGS: &[Flag] = &[
    list(
        None,
        "filter",
        "filter",
        "Show only what fits (\"type=regular\", \"id=...\", \"description=...\", \"until=24h\", \"inuse\", \"shared\", \"private\")",
    ),
    value(None, "format", "string", FORMAT_HELP),
    switch(None, "verbose", "Show every single thing in full"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Show what is kept of builds, and what it takes",
    flags: &[FLAGS],
    ..command(&["builder du"], run)
};

const COLUMNS: &[Column<Value>] = &[
    column("ID", "ID", |record, o| {
        let id = text(record, "ID");
        match o.no_trunc {
            true => id.into(),
            false => id.get(..24).unwrap_or(id).into(),
        }
    }),
    column("Reclaimable", "RECLAIMABLE", |record, _| {
        is_reclaimable(record).to_string().into()
    }),
    column("Size", "SIZE", |record, _| {
        // What images have, too, is marked.
        let mark = if record["Shared"] == true { "*" } else { "" };
        format!("{}{mark}", human_size(size(record) as f64)).into()
    }),
    column("LastAccessed", "LAST ACCESSED", |record, _| {
        since(record, "LastUsedAt").into()
    }),
    column("Description", "DESCRIPTION", |record, _| {
        text(record, "Description").into()
    }),
    column("Type", "TYPE", |record, _| text(record, "Type").into()),
    column("CreatedAt", "CREATED AT", |record, _| {
        text(record, "CreatedAt").into()
    }),
    column("UsageCount", "USAGE", |record, _| {
        record["UsageCount"].to_string().into()
    }),
    column("InUse", "IN USE", |record, _| {
        (record["InUse"] == true).to_string().into()
    }),
    column("Shared", "SHARED", |record, _| {
        (record["Shared"] == true).to_string().into()
    }),
];

const DEFAULT: &str = "{{.ID}}\t{{.Reclaimable}}\t{{.Size}}\t{{.LastAccessed}}";

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let wanted = Wanted::of(matches)?;
    let client = cli.client()?;
    let answer = cli.block_on(client.disk_usage())??;
    let mut records = match answer["BuildCacheUsage"]["Items"].clone() {
        Value::Null => answer["BuildCache"].as_array().cloned().unwrap_or_default(),
        items => items.as_array().cloned().unwrap_or_default(),
    };
    records.retain(|record| wanted.fits(record));
    records.sort_by_key(|record| std::cmp::Reverse(size(record)));
    let format = matches.text("format");
    if format.is_empty() && matches.on("verbose") {
        for record in &records {
            cli.print(&full(record))?;
        }
        return finish(cli, &records);
    }
    let list = List {
        columns: COLUMNS,
        type_name: "*du.record",
        default: DEFAULT.to_owned(),
        raw: None,
        options: &Options {
            no_trunc: matches.on("verbose") || format == "json",
            ..Options::default()
        },
    };
    cli.print(&list.render(format, &records)?)?;
    match format {
        "" | "table" => finish(cli, &records),
        _ => Ok(0),
    }
}

/// The sums below.
fn finish(cli: &mut Cli, records: &[Value]) -> Result<u8> {
    let sum = |counts: &dyn Fn(&Value) -> bool| {
        let sizes = records.iter().filter(|record| counts(record)).map(size);
        human_size(sizes.sum::<i64>() as f64)
    };
    let is_shared = |record: &Value| record["Shared"] == true;
    if records.iter().any(is_shared) {
        cli.line(&format!("Shared:\t\t{}", sum(&is_shared)))?;
        cli.line(&format!("Private:\t{}", sum(&|record| !is_shared(record))))?;
    }
    cli.line(&format!("Reclaimable:\t{}", sum(&is_reclaimable)))?;
    cli.line(&format!("Total:\t\t{}", sum(&|_| true)))?;
    Ok(0)
}

/// A record line by line.
fn full(record: &Value) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| out.push_str(&format!("{name}:\t{value}\n"));
    line("ID", text(record, "ID"));
    for parent in record["Parents"].as_array().into_iter().flatten() {
        line("Parent", parent.as_str().unwrap_or_default());
    }
    line("Created at", text(record, "CreatedAt"));
    line(
        "Mutable",
        &(text(record, "Type") == "exec.cachemount").to_string(),
    );
    line("Reclaimable", &is_reclaimable(record).to_string());
    line("Shared", &(record["Shared"] == true).to_string());
    line("Size", &human_size(size(record) as f64));
    line("Description", text(record, "Description"));
    line("Usage count", &record["UsageCount"].to_string());
    let used = since(record, "LastUsedAt");
    if !used.is_empty() {
        line("Last used", &used);
    }
    line("Type", text(record, "Type"));
    out.push('\n');
    out
}

/// What is asked for.
#[derive(Debug, Default)]
struct Wanted {
    filters: Vec<(String, String)>,
    /// Not used since, seconds since the epoch.
    until: Option<i64>,
}

impl Wanted {
    fn of(matches: &Matches) -> Result<Self> {
        let mut wanted = Self::default();
        for text in matches.all("filter") {
            let (key, value) = text.split_once('=').unwrap_or((text, "true"));
            match key {
                "until" | "unused-for" => {
                    let now = onggi_model::Timestamp::now();
                    let time = onggi_model::Timestamp::parse_relative(value, now);
                    let time = time.map_err(|error| Error::new(error.to_string()))?;
                    wanted.until = Some(time.seconds());
                }
                "id" | "parent" | "type" | "description" | "inuse" | "shared" | "private"
                | "mutable" | "immutable" => {
                    wanted.filters.push((key.to_owned(), value.to_owned()));
                }
                _ => {
                    return Err(Error::new(format!(
                        "invalid filter {}: there are id, parent, type, description, until, inuse, shared, private, mutable and immutable",
                        crate::quote(key)
                    )));
                }
            }
        }
        Ok(wanted)
    }

    fn fits(&self, record: &Value) -> bool {
        let used = text(record, "LastUsedAt").parse::<jiff::Timestamp>();
        let is_old = self
            .until
            .is_none_or(|until| used.is_ok_and(|used| used.as_second() <= until));
        let is = |is_so: bool, value: &str| is_so == (value == "true");
        let is_mutable = text(record, "Type") == "exec.cachemount";
        is_old
            && self.filters.iter().all(|(key, value)| match key.as_str() {
                "id" => text(record, "ID").starts_with(value),
                "parent" => {
                    let mut parents = record["Parents"].as_array().into_iter().flatten();
                    parents.any(|it| it.as_str().is_some_and(|it| it.starts_with(value)))
                }
                "type" => text(record, "Type") == value,
                "description" => text(record, "Description").contains(value),
                "inuse" => is(record["InUse"] == true, value),
                "shared" => is(record["Shared"] == true, value),
                "private" => is(record["Shared"] != true, value),
                "mutable" => is(is_mutable, value),
                _ => is(!is_mutable, value),
            })
    }
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap_or_default()
}

fn size(record: &Value) -> i64 {
    record["Size"].as_i64().unwrap_or(0)
}

fn is_reclaimable(record: &Value) -> bool {
    record["InUse"] != true
}

fn since(record: &Value, key: &str) -> String {
    let time = text(record, key).parse::<jiff::Timestamp>();
    time.map_or_else(|_| String::new(), |time| ago(time.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Positionals, parse::parse};
    use serde_json::json;

    fn wanted(filters: &[&str]) -> Result<Wanted> {
        let args: Vec<String> = filters.iter().map(|it| format!("--filter={it}")).collect();
        Wanted::of(&parse(&[FLAGS], Positionals::Mixed, &args).expect("flags"))
    }

    #[test]
    fn filters_are_buildxs() {
        let record = json!({"ID": "abc", "Type": "regular", "Description": "[1/2] RUN make", "Shared": true,
            "InUse": false, "Parents": ["fff"], "LastUsedAt": "2020-01-01T00:00:00Z", "Size": 1000});
        for (filters, fits) in [
            (&["id=ab"][..], true),
            (&["id=b"], false),
            (&["type=regular", "description=make"], true),
            (&["type=exec.cachemount"], false),
            (&["shared"], true),
            (&["shared=false"], false),
            (&["private"], false),
            (&["immutable"], true),
            (&["parent=ff", "until=24h"], true),
            (&["inuse"], false),
        ] {
            let wanted = wanted(filters).expect("filters");
            assert_eq!(wanted.fits(&record), fits, "{filters:?}");
        }
        let refused = wanted(&["label=x"]).expect_err("no such filter");
        assert!(
            refused.message.starts_with("invalid filter \"label\""),
            "{}",
            refused.message
        );
    }

    #[test]
    fn a_record_is_told_in_full() {
        let record = json!({"ID": "abc", "Type": "regular", "Description": "RUN x", "Size": 1000,
            "CreatedAt": "2020-01-01T00:00:00Z", "UsageCount": 2, "InUse": false});
        assert_eq!(
            full(&record),
            "ID:\tabc\nCreated at:\t2020-01-01T00:00:00Z\nMutable:\tfalse\nReclaimable:\ttrue\nShared:\tfalse\nSize:\t1kB\nDescription:\tRUN x\nUsage count:\t2\nType:\tregular\n\n"
        );
    }
}
