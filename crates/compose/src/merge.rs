//! A later file over an earlier one, both in their long forms: maps grow, lists append, and where a list's items have a
//! key of their own (a target, a path, the text itself) the later one takes the earlier one's place.

use std::sync::LazyLock;

use crate::error::Problem;
use crate::node::{Map, Mark, Node, Value};
use crate::table::{Branch, Table};

/// How two values of one key become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The later one alone.
    Replace,
    /// Lists append; of items with the same text the later one stays.
    Texts,
    /// The same, by these keys of the items.
    Keyed(&'static [&'static str]),
    /// Published ports: by address, both ports and protocol.
    Ports,
    /// Files of variables: by path.
    Mounts(&'static str),
    /// Options of a driver go with the driver.
    Logging,
    /// A pair of limits grows, a single one replaces.
    Limits,
}

static RULES: LazyLock<Table<Rule>> = LazyLock::new(|| {
    Table::new(&[
        ("services.*.{command,entrypoint}", Rule::Replace),
        ("services.*.healthcheck.test", Rule::Replace),
        ("services.*.{post_start,pre_stop}.*.command", Rule::Replace),
        ("services.*.logging", Rule::Logging),
        ("services.*.ulimits.*", Rule::Limits),
        ("services.*.build.ulimits.*", Rule::Limits),
        (
            "services.*.build.{tags,platforms,entitlements,cache_from,cache_to}",
            Rule::Texts,
        ),
        ("services.*.build.secrets", Rule::Mounts("/run/secrets/")),
        (
            "services.*.{cap_add,cap_drop,device_cgroup_rules,dns,dns_opt,dns_search,expose,external_links,\
             group_add,label_file,links,profiles,security_opt,tmpfs,volumes_from}",
            Rule::Texts,
        ),
        (
            "services.*.networks.*.{aliases,link_local_ips}",
            Rule::Texts,
        ),
        ("services.*.extra_hosts.*", Rule::Texts),
        ("services.*.build.extra_hosts.*", Rule::Texts),
        ("services.*.{devices,volumes}", Rule::Keyed(&["target"])),
        ("services.*.env_file", Rule::Keyed(&["path"])),
        ("services.*.ports", Rule::Ports),
        ("services.*.secrets", Rule::Mounts("/run/secrets/")),
        ("services.*.configs", Rule::Mounts("/")),
        ("networks.*.ipam.config", Rule::Keyed(&["subnet"])),
        ("services.*.deploy.placement.constraints", Rule::Texts),
    ])
});

/// Merges `over` into `base`. Tags of `over` are obeyed and stay, so that they hold for what is merged under it next;
/// [`Node::settle`] ends that.
///
/// # Errors
/// A map over a list, or the like.
pub(crate) fn merge(base: &mut Node, over: Node) -> Result<(), Problem> {
    node(base, over, Some(RULES.root()), &mut Vec::new())
}

/// Merges one service over another.
///
/// # Errors
/// As [`merge`].
pub(crate) fn merge_service(base: &mut Node, over: Node, name: &str) -> Result<(), Problem> {
    let mut path = vec!["services".to_owned(), name.to_owned()];
    node(base, over, RULES.at(&["services", name]), &mut path)
}

/// Takes out of each list what a later item of the same key replaces, in a document of one file.
pub(crate) fn unique(document: &mut Node) {
    unique_under(document, RULES.root());
}

fn unique_under(node: &mut Node, branch: &Branch<Rule>) {
    if node.mark == Mark::Reset {
        return;
    }
    match &mut node.value {
        Value::Map(map) => {
            for (key, value) in map.iter_mut() {
                if let Some(branch) = branch.child(key) {
                    unique_under(value, branch);
                }
            }
        }
        Value::List(items) => {
            if let Some(rule) = branch.rule {
                let old = std::mem::take(items);
                append(items, old, rule);
            }
        }
        _ => (),
    }
}

fn node(
    base: &mut Node,
    over: Node,
    branch: Option<&Branch<Rule>>,
    path: &mut Vec<String>,
) -> Result<(), Problem> {
    if over.mark != Mark::None || base.mark == Mark::Reset {
        *base = over;
        return Ok(());
    }
    let rule = branch.and_then(|branch| branch.rule);
    match rule {
        Some(Rule::Replace) if !over.is_null() => {
            *base = over;
            return Ok(());
        }
        Some(Rule::Logging) => {
            let driver = |node: &Node| node.text("driver").map(str::to_owned);
            if let (Some(old), Some(new)) = (driver(base), driver(&over))
                && old != new
            {
                *base = over;
                return Ok(());
            }
        }
        Some(Rule::Limits) if base.as_map().is_none() || over.as_map().is_none() => {
            *base = over;
            return Ok(());
        }
        _ => (),
    }
    match (&mut base.value, over.value) {
        (_, Value::Null) => (),
        (old @ Value::Null, new) => *old = new,
        (Value::Map(map), Value::Map(new)) => return maps(map, new, branch, path),
        (Value::List(items), Value::List(new)) => match rule {
            Some(rule) => append(items, new, rule),
            None => items.extend(new),
        },
        (Value::Map(_) | Value::List(_), _) | (_, Value::Map(_) | Value::List(_)) => {
            let message = "cannot override: it is of another kind in the earlier file";
            return Err(Problem::new(&over.place, path.join("."), message));
        }
        (old, new) => {
            *old = new;
            base.place = over.place;
        }
    }
    Ok(())
}

fn maps(
    base: &mut Map,
    over: Map,
    branch: Option<&Branch<Rule>>,
    path: &mut Vec<String>,
) -> Result<(), Problem> {
    for entry in over.into_entries() {
        match base.get_mut(&entry.key) {
            None => base.push(entry),
            Some(old) => {
                let branch = branch.and_then(|branch| branch.child(&entry.key));
                path.push(entry.key);
                node(old, entry.value, branch, path)?;
                path.pop();
            }
        }
    }
    Ok(())
}

fn append(items: &mut Vec<Node>, new: Vec<Node>, rule: Rule) {
    for item in new {
        let key = key(&item, rule);
        match items
            .iter_mut()
            .find(|old| key.is_some() && self::key(old, rule) == key)
        {
            None => items.push(item),
            // Parts of one subnet, or of one file of variables, add up.
            Some(old) if matches!(rule, Rule::Keyed(["subnet"])) => {
                if let (Value::Map(old), Value::Map(new)) = (&mut old.value, item.value) {
                    new.into_entries()
                        .into_iter()
                        .for_each(|entry| old.set(&entry.key, entry.value));
                }
            }
            Some(old) => *old = item,
        }
    }
}

/// What tells an item of a list from the others; nothing when it cannot be told.
fn key(item: &Node, rule: Rule) -> Option<String> {
    let field = |name: &str| item.get(name).and_then(Node::scalar_text);
    match rule {
        Rule::Texts => item.scalar_text(),
        Rule::Keyed(keys) => {
            let all: Option<Vec<String>> = keys.iter().map(|key| field(key)).collect();
            all.map(|all| all.join("|"))
        }
        Rule::Mounts(folder) => {
            field("target").or_else(|| field("source").map(|source| format!("{folder}{source}")))
        }
        Rule::Ports => {
            let target = field("target")?;
            Some(format!(
                "{}:{}:{target}/{}",
                field("host_ip").unwrap_or_else(|| "0.0.0.0".to_owned()),
                field("published").unwrap_or_default(),
                field("protocol").unwrap_or_else(|| "tcp".to_owned()),
            ))
        }
        Rule::Replace | Rule::Logging | Rule::Limits => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{Unreadable, canonical};
    use crate::yaml;

    fn service(text: &str) -> Node {
        let text = format!("services:\n  web:\n    {}", text.replace('\n', "\n    "));
        let mut document = yaml::parse(&text, "f").unwrap().remove(0);
        canonical(&mut document, Unreadable::Refused).unwrap();
        document
    }

    fn merged(base: &str, over: &str) -> Node {
        let mut base = service(base);
        merge(&mut base, service(over)).unwrap();
        base.settle();
        base
    }

    #[test]
    fn values_become_one_by_the_rules_of_their_keys() {
        for (base, over, result) in [
            ("image: a", "image: b", "image: b"),
            ("command: a b", "command: [c]", "command: [c]"),
            (
                "environment: [A=1, B=2]",
                "environment: {B: 3}",
                "environment: {A: '1', B: '3'}",
            ),
            (
                "dns: 1.1.1.1",
                "dns: [2.2.2.2, 1.1.1.1]",
                "dns: [1.1.1.1, 2.2.2.2]",
            ),
            (
                "volumes: ['a:/x', 'b:/y']",
                "volumes: ['c:/x']",
                "volumes: ['c:/x', 'b:/y']",
            ),
            (
                "ports: ['80:80']",
                "ports: ['81:80', '80:80']",
                "ports: ['80:80', '81:80']",
            ),
            (
                "networks: [a]",
                "networks: {b: {aliases: [x]}}",
                "networks: {a: null, b: {aliases: [x]}}",
            ),
            (
                "networks: {a: {aliases: [x]}}",
                "networks: [a]",
                "networks: {a: {aliases: [x]}}",
            ),
            (
                "depends_on: [a]",
                "depends_on: {b: {condition: service_healthy}}",
                "depends_on: {a: {condition: service_started, required: true}, b: {condition: service_healthy}}",
            ),
            (
                "logging: {driver: a, options: {x: '1'}}",
                "logging: {driver: b}",
                "logging: {driver: b}",
            ),
            (
                "logging: {driver: a, options: {x: '1'}}",
                "logging: {options: {y: '2'}}",
                "logging: {driver: a, options: {x: '1', y: '2'}}",
            ),
            (
                "ulimits: {nofile: 5}",
                "ulimits: {nofile: {soft: 1, hard: 2}}",
                "ulimits: {nofile: {soft: 1, hard: 2}}",
            ),
            (
                "build: .",
                "build: {target: t}",
                "build: {context: ., target: t}",
            ),
            ("ports: ['80']", "ports: !reset []", "{}"),
            ("ports: ['80']", "ports: !override ['81']", "ports: ['81']"),
            (
                "environment: {A: 1, B: 2}",
                "environment: {A: !reset null}",
                "environment: {B: '2'}",
            ),
            ("image: a", "image: null", "image: a"),
            (
                "secrets: [s]",
                "secrets: [{source: t, target: /run/secrets/s}]",
                "secrets: [{source: t, target: /run/secrets/s}]",
            ),
            (
                "extra_hosts: ['h:1.1.1.1']",
                "extra_hosts: {h: 2.2.2.2}",
                "extra_hosts: {h: [1.1.1.1, 2.2.2.2]}",
            ),
            ("x-a: {b: 1}", "x-a: {c: 2}", "x-a: {b: 1, c: 2}"),
        ] {
            assert_eq!(merged(base, over), service(result), "{base} + {over}");
        }
    }

    #[test]
    fn other_kinds_do_not_mix() {
        let mut base = service("image: a");
        let error = merge(&mut base, service("image: [a]")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("f:3:12: services.web.image: cannot override")
        );
    }
}
