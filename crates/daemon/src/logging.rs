//! The daemon's own log: lines on standard error, which systemd or the shell keeps.

use std::fmt;
use std::io::IsTerminal;

use onggi_model::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FmtSpan, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::Log;

/// Changes the level of the log that was begun.
pub(crate) type SetLevel = Box<dyn Fn(&str) + Send + Sync>;

/// Begins to log. `ONGGI_LOG` overrules the level with tracing's full filter language.
pub(crate) fn begin(log: &Log) -> SetLevel {
    let (filter, fixed) = match EnvFilter::try_from_env("ONGGI_LOG") {
        Ok(filter) => (filter, true),
        Err(_) => (EnvFilter::new(&log.level), false),
    };
    let builder = tracing_subscriber::fmt()
        .with_ansi(log.colours && std::io::stderr().is_terminal())
        .with_target(false)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    // A second daemon in one process exists only in tests; the first log serves both. Changing the level fails when
    // the log is gone, and then nobody reads it.
    let set_level: SetLevel = if log.json {
        let builder = builder.event_format(Json).with_env_filter(filter);
        let builder = builder.with_filter_reloading();
        let handle = builder.reload_handle();
        let _ = builder.try_init();
        Box::new(move |level| drop(handle.reload(EnvFilter::new(level))))
    } else {
        let builder = builder.with_env_filter(filter).with_filter_reloading();
        let handle = builder.reload_handle();
        let _ = builder.try_init();
        Box::new(move |level| drop(handle.reload(EnvFilter::new(level))))
    };
    match fixed {
        true => Box::new(|_| {}),
        false => set_level,
    }
}

/// One JSON object a line, with dockerd's keys: `time`, `level`, `msg`, and the fields.
struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level().as_str().to_lowercase();
        let head = [
            ("time".to_owned(), Timestamp::now().to_string().into()),
            ("level".to_owned(), level.replace("warn", "warning").into()),
            ("msg".to_owned(), fields.message.into()),
        ];
        let object: Map<String, Value> = head.into_iter().chain(fields.others).collect();
        writeln!(writer, "{}", Value::Object(object))
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => drop(self.others.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
