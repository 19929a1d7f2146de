//! What a change has read and written so far. Each row is read once and written once, however often the change comes back
//! to it, and each table is opened once to be written: the removal of an image of sixty layers touches each of their
//! records four times.

use std::collections::BTreeMap;

/// Rows by table and key.
#[derive(Debug, Default)]
pub(crate) struct Draft(BTreeMap<&'static str, BTreeMap<String, Row>>);

#[derive(Debug)]
struct Row {
    /// Nothing where there is no such row, or none any more.
    value: Option<Vec<u8>>,
    is_changed: bool,
}

impl Draft {
    /// The row, when it was read or written before: `None` means that it was not.
    pub(crate) fn get(&self, table: &str, key: &str) -> Option<Option<&[u8]>> {
        let row = self.0.get(table)?.get(key)?;
        Some(row.value.as_deref())
    }

    /// Remembers a row as it was read.
    pub(crate) fn read(&mut self, table: &'static str, key: &str, value: Option<Vec<u8>>) {
        let row = Row {
            value,
            is_changed: false,
        };
        self.0.entry(table).or_default().insert(key.to_owned(), row);
    }

    /// Writes a row, or removes it.
    pub(crate) fn write(&mut self, table: &'static str, key: &str, value: Option<Vec<u8>>) {
        let row = Row {
            value,
            is_changed: true,
        };
        self.0.entry(table).or_default().insert(key.to_owned(), row);
    }

    /// What was written to a table, in the order of the keys.
    pub(crate) fn written(&self, table: &str) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let rows = self.0.get(table).into_iter().flatten();
        rows.filter(|(_, row)| row.is_changed)
            .map(|(key, row)| (key.as_str(), row.value.as_deref()))
    }

    /// The tables that were written to.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &'static str> {
        let tables = self.0.iter();
        tables
            .filter(|(_, rows)| rows.values().any(|row| row.is_changed))
            .map(|(table, _)| *table)
    }
}
