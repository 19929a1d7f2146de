//! The names of a network, as lines of a file: what the daemon leaves for the monitors, who answer while it is away.
//! A line is `CONTAINER ADDRESS[,ADDRESS] NAME...`; the first name is the container's own.

use std::fmt::Write as _;
use std::net::IpAddr;

/// Who has which names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'t> {
    /// The container's id.
    pub container: &'t str,
    addresses: &'t str,
    names: &'t str,
}

impl<'t> Row<'t> {
    /// Reads one line; `None` where it is none of ours.
    #[must_use]
    pub fn read(line: &'t str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let (container, addresses) = (words.next()?, words.next()?);
        let names = words.next().unwrap_or_default();
        Some(Self {
            container,
            addresses,
            names,
        })
    }

    /// Appends a line. Names that no line can hold are left out.
    pub fn write(
        text: &mut String,
        container: &str,
        addresses: impl IntoIterator<Item = IpAddr>,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) {
        text.push_str(container);
        for (index, address) in addresses.into_iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{address}", if index == 0 { ' ' } else { ',' });
        }
        for name in names {
            let name = name.as_ref();
            if !name.is_empty() && !name.contains([' ', '\n']) {
                text.push(' ');
                text.push_str(name);
            }
        }
        text.push('\n');
    }

    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses
            .split(',')
            .filter_map(|word| word.parse().ok())
    }

    /// Its names, in small letters.
    pub fn names(&self) -> impl Iterator<Item = &'t str> {
        self.names.split(' ').filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_was_written() {
        let mut text = String::new();
        let addresses: [IpAddr; 2] = [[172, 18, 0, 2].into(), [0, 0, 0, 0, 0, 0, 0, 1].into()];
        Row::write(&mut text, "abc", addresses, ["db", "", "a b", "db.example"]);
        Row::write(&mut text, "def", [addresses[0]], [""]);
        assert_eq!(text, "abc 172.18.0.2,::1 db db.example\ndef 172.18.0.2\n");
        let rows: Vec<Row<'_>> = text.lines().filter_map(Row::read).collect();
        assert!(rows[0].addresses().eq(addresses));
        assert!(rows[0].names().eq(["db", "db.example"]));
        assert_eq!((rows[1].container, rows[1].names().count()), ("def", 0));
        assert_eq!(Row::read("abc"), None);
    }
}
