//! What belongs to which keys: rules by paths like `services.*.ports.*.target`, where a star is any key and any item of a
//! list. A walk through a document carries its branch of the table along, so that no path is matched twice.

use std::collections::HashMap;

/// Rules by path.
#[derive(Debug)]
pub(crate) struct Table<T> {
    root: Branch<T>,
}

/// The rules under one key.
#[derive(Debug)]
pub(crate) struct Branch<T> {
    named: HashMap<&'static str, Branch<T>>,
    any: Option<Box<Branch<T>>>,
    /// The rule for exactly this path.
    pub(crate) rule: Option<T>,
}

impl<T> Branch<T> {
    fn empty() -> Self {
        Self {
            named: HashMap::new(),
            any: None,
            rule: None,
        }
    }

    /// The rules under that key; what names it goes before a star.
    pub(crate) fn child(&self, key: &str) -> Option<&Self> {
        self.named.get(key).or(self.any.as_deref())
    }

    /// The rules for the items of a list.
    pub(crate) fn item(&self) -> Option<&Self> {
        self.any.as_deref()
    }
}

impl<T: Clone> Table<T> {
    /// A table of these rows. A row's path may name several keys at once: `services.*.{dns,tmpfs}`.
    pub(crate) fn new(rows: &[(&'static str, T)]) -> Self {
        let mut root = Branch::empty();
        for (path, rule) in rows {
            insert(&mut root, path, rule);
        }
        Self { root }
    }

    /// The rules from the top.
    pub(crate) fn root(&self) -> &Branch<T> {
        &self.root
    }

    /// The rules under these keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Branch<T>> {
        path.iter()
            .try_fold(&self.root, |branch, key| branch.child(key))
    }
}

fn insert<T: Clone>(branch: &mut Branch<T>, path: &'static str, rule: &T) {
    if path.is_empty() {
        branch.rule = Some(rule.clone());
        return;
    }
    let (names, rest) = match path.strip_prefix('{').and_then(|p| p.split_once('}')) {
        Some((names, rest)) => (names, rest.strip_prefix('.').unwrap_or(rest)),
        None => path.split_once('.').unwrap_or((path, "")),
    };
    for name in names.split(',').map(str::trim) {
        let next = match name {
            "*" => branch.any.get_or_insert_with(|| Box::new(Branch::empty())),
            name => branch.named.entry(name).or_insert_with(Branch::empty),
        };
        insert(next, rest, rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_rules() {
        let table = Table::new(&[
            ("services.*.{dns,tmpfs}", 1),
            ("services.*.ports.*.target", 2),
            ("{networks,volumes}.*.labels", 3),
        ]);
        let rule = |path: &[&str]| table.at(path).and_then(|branch| branch.rule);
        assert_eq!(rule(&["services", "web", "dns"]), Some(1));
        assert_eq!(rule(&["services", "a.b", "tmpfs"]), Some(1));
        assert_eq!(rule(&["services", "web", "ports", "0", "target"]), Some(2));
        assert_eq!(rule(&["volumes", "data", "labels"]), Some(3));
        assert_eq!(rule(&["services", "web"]), None);
        assert_eq!(rule(&["configs", "x"]), None);
    }
}
