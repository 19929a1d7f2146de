//! `config --variables`: the variables of a project's files, as a table or JSON.

use onggi_compose::Project;
use onggi_compose::config::{VariableRow, variables};
use serde_json::json;

use crate::error::{Error, Result};
use crate::format::rows::Options;
use crate::format::{Column, List, column};

const COLUMNS: &[Column<VariableRow>] = &[
    column("Name", "NAME", |row, _| row.name.clone().into()),
    column("Required", "REQUIRED", |row, _| row.required.into()),
    column("DefaultValue", "DEFAULT VALUE", |row, _| {
        row.default.clone().into()
    }),
    column("PresenceValue", "ALTERNATE VALUE", |row, _| {
        row.alternate.clone().into()
    }),
];

/// The variables, printed. The project is one that was loaded without interpolation.
pub(super) fn show(project: &Project, format: &str) -> Result<String> {
    let rows = variables(project);
    match format {
        "" | "table" => {
            let list = List {
                columns: COLUMNS,
                type_name: "*formatter.variablesContext",
                default: "{{.Name}}\t{{.Required}}\t{{.DefaultValue}}\t{{.PresenceValue}}"
                    .to_owned(),
                raw: None,
                options: &Options::default(),
            };
            list.render("", &rows)
        }
        "json" => {
            let all: serde_json::Map<String, serde_json::Value> = rows
                .into_iter()
                .map(|row| {
                    let document = json!({
                        "Name": row.name,
                        "DefaultValue": row.default,
                        "PresenceValue": row.alternate,
                        "Required": row.required,
                    });
                    (row.name, document)
                })
                .collect();
            let text = serde_json::to_string_pretty(&all);
            Ok(text.map_err(|error| Error::new(error.to_string()))? + "\n")
        }
        other => Err(Error::new(format!(
            "--format: {} is not known for variables (table, json)",
            crate::quote(other)
        ))),
    }
}
