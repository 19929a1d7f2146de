//! Lists of rows, in the form `--format` asks for.

use std::sync::Arc;

use onggi_gotmpl::{Data, Field, Functions, Template, escape_html};

use super::table::{self, align};
use crate::error::{Error, Result};

/// What a column gives for a row.
pub(crate) enum Kind<R> {
    /// Plain data.
    Value(fn(&R, &Options) -> serde_json::Value),
    /// Data in the JSON, a text in templates: what has a method `String` in Go.
    Shown(fn(&R, &Options) -> serde_json::Value, fn(&R) -> String),
    /// A method with one text, like `.Label`; not part of the JSON.
    Method(fn(&R, &str) -> String),
}

/// One column: its name in templates, its header, where it comes from.
pub(crate) struct Column<R: 'static> {
    pub(crate) name: &'static str,
    pub(crate) header: &'static str,
    pub(crate) kind: Kind<R>,
}

/// A column of plain data.
pub(crate) const fn column<R>(
    name: &'static str,
    header: &'static str,
    value: fn(&R, &Options) -> serde_json::Value,
) -> Column<R> {
    Column {
        name,
        header,
        kind: Kind::Value(value),
    }
}

/// What the columns of all lists may depend on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) no_trunc: bool,
    pub(crate) digests: bool,
    /// `--human`: sizes and dates for people.
    pub(crate) human: bool,
}

/// A list in the making.
pub(crate) struct List<'a, R: 'static> {
    pub(crate) columns: &'static [Column<R>],
    /// The Go type that Docker's errors name.
    pub(crate) type_name: &'static str,
    /// The table where no format is given, without `table `.
    pub(crate) default: String,
    /// The format `raw` stands for, if there is one.
    pub(crate) raw: Option<String>,
    pub(crate) options: &'a Options,
}

impl<R: Clone + Send + Sync> List<'_, R> {
    /// Renders the rows by `format`: empty or `table` for the default table, `table TEMPLATE`, `json`, `raw`, or a template.
    pub(crate) fn render(&self, format: &str, rows: &[R]) -> Result<String> {
        let (table, source) = self.source(format);
        let template = Template::parse(&source).map_err(Self::failed)?;
        let mut out = String::new();
        if table {
            out.push_str(&self.header(&template)?);
            out.push('\n');
        }
        for row in rows {
            let data = self.data(row, &|column| template.uses(column));
            out.push_str(&template.render(&data).map_err(Self::failed)?);
            out.push('\n');
        }
        if table {
            Ok(align(&out, table::LIST))
        } else {
            Ok(out)
        }
    }

    /// Checks a template against the columns before anything is asked of the daemon; tells whether it uses `field`.
    pub(crate) fn check(&self, format: &str, field: &str, sample: &R) -> Result<bool> {
        let (_, source) = self.source(format);
        let failed = |error| Error::new(format!("failed to parse template: {error}"));
        let template = Template::parse(&source).map_err(failed)?;
        // Errors count from the beginning of what was typed.
        let typed = if source == format || !format.starts_with("table ") {
            Template::parse(&source)
        } else {
            Template::parse(format)
        };
        typed
            .map_err(failed)?
            .render(&self.data(sample, &|_| true))
            .map_err(|error| Error::new(format!("failed to execute template: {error}")))?;
        Ok(template.uses(field))
    }

    fn failed(error: onggi_gotmpl::Error) -> Error {
        Error::new(format!("template parsing error: {error}"))
    }

    /// Whether a table is asked for, and the template of a row.
    fn source(&self, format: &str) -> (bool, String) {
        let unescape = |text: &str| text.replace("\\t", "\t").replace("\\n", "\n");
        match format.trim() {
            "" | "table" => (true, self.default.clone()),
            "json" => (false, "{{json .}}".to_owned()),
            "raw" if self.raw.is_some() => (false, self.raw.clone().unwrap_or_default()),
            text => match text.strip_prefix("table") {
                Some(rest) => (true, unescape(rest.trim())),
                None => (false, unescape(text)),
            },
        }
    }

    fn header(&self, template: &Template) -> Result<String> {
        let fields = self.columns.iter().map(|column| match &column.kind {
            Kind::Value(_) | Kind::Shown(..) => (column.name, Field::Json(column.header.into())),
            Kind::Method(_) => (column.name, Field::Method(Arc::new(label_header))),
        });
        let data = Data::row("formatter.SubHeaderContext", fields, String::new());
        template
            .render_with(&data, Functions::Header)
            .map_err(Self::failed)
    }

    /// A row for a template that uses these columns, or `.` for the row as a whole.
    fn data(&self, row: &R, uses: &dyn Fn(&str) -> bool) -> Data {
        let mut json: Vec<(&str, serde_json::Value)> = Vec::new();
        let mut fields = Vec::with_capacity(self.columns.len());
        for column in self.columns.iter().filter(|column| uses(column.name)) {
            match column.kind {
                Kind::Value(value) => {
                    let value = value(row, self.options);
                    json.push((column.name, value.clone()));
                    fields.push((column.name, Field::Json(value)));
                }
                Kind::Shown(value, text) => {
                    json.push((column.name, value(row, self.options)));
                    fields.push((column.name, Field::Json(text(row).into())));
                }
                Kind::Method(method) => {
                    let row = row.clone();
                    let method = move |argument: &str| method(&row, argument);
                    fields.push((column.name, Field::Method(Arc::new(method))));
                }
            }
        }
        if !uses(".") {
            return Data::row(self.type_name, fields, String::new());
        }
        json.sort_by_key(|(name, _)| *name);
        let object: serde_json::Map<String, serde_json::Value> = json
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let json = escape_html(&serde_json::Value::Object(object).to_string());
        Data::row(self.type_name, fields, json)
    }
}

/// The header over a label: the last part of its name, with spaces.
fn label_header(name: &str) -> String {
    name.rsplit('.')
        .next()
        .unwrap_or_default()
        .replace(['-', '_'], " ")
}
