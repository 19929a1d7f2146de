//! Lists that are maps, and single texts that are lists.

use crate::node::{Entry, Map, Mark, Node, Value};

/// `[KEY=value]` and `{KEY: value}` to texts by name; without a value it is the empty text.
pub(super) fn pairs(node: &mut Node) -> Result<(), String> {
    named(node, || Value::from(""))
}

/// The same; without a value it is `null`, and the value comes from elsewhere.
pub(super) fn variables(node: &mut Node) -> Result<(), String> {
    named(node, || Value::Null)
}

fn named(node: &mut Node, absent: impl Fn() -> Value) -> Result<(), String> {
    match &mut node.value {
        Value::List(items) => {
            let mut map = Map::new();
            for item in items.drain(..) {
                let Some(text) = item.scalar_text() else {
                    return Err("must be a list of texts like KEY=value".to_owned());
                };
                let (key, value) = match text.split_once('=') {
                    Some((key, value)) => (key, Value::from(value)),
                    None => (text.as_str(), absent()),
                };
                let value = Node {
                    value,
                    ..item.clone()
                };
                map.set(key, value);
            }
            node.value = Value::Map(map);
        }
        Value::Map(map) => {
            for value in map.values_mut().filter(|value| value.mark != Mark::Reset) {
                value.value = match value.scalar_text() {
                    Some(text) => Value::String(text),
                    None => absent(),
                };
            }
        }
        _ => (),
    }
    Ok(())
}

/// `[a, b]` to `{a: null, b: null}`.
pub(super) fn names(node: &mut Node) -> Result<(), String> {
    keys(node, || Value::Null)
}

/// `[a, b]` to `{a: {}, b: {}}`.
pub(super) fn empty_maps(node: &mut Node) -> Result<(), String> {
    keys(node, || Value::Map(Map::new()))
}

fn keys(node: &mut Node, value: impl Fn() -> Value) -> Result<(), String> {
    if let Value::List(items) = &node.value {
        let entry = |item: &Node| {
            Some(Entry {
                key: item.as_str()?.to_owned(),
                place: item.place.clone(),
                value: Node::new(value(), &item.place),
            })
        };
        node.value = Value::Map(items.iter().filter_map(entry).collect());
    }
    Ok(())
}

/// `a` to `[a]`.
pub(super) fn texts(node: &mut Node) -> Result<(), String> {
    if node.as_str().is_some() {
        let item = Node::new(std::mem::replace(&mut node.value, Value::Null), &node.place);
        node.value = Value::List(vec![item]);
    }
    Ok(())
}

/// `[host:address, host=address]`, `{host: address}` to lists of addresses by name.
pub(super) fn hosts(node: &mut Node) -> Result<(), String> {
    let mut map = Map::new();
    match &node.value {
        Value::List(items) => {
            for item in items {
                let text = item.as_str().unwrap_or_default();
                let cut = text.split_once('=').or_else(|| text.split_once(':'));
                let Some((host, address)) =
                    cut.filter(|(host, ip)| !host.is_empty() && !ip.is_empty())
                else {
                    return Err(format!("invalid additional host, missing IP: {text}"));
                };
                add(&mut map, host.trim(), address.trim(), item);
            }
        }
        Value::Map(hosts) => {
            for (host, value) in hosts.iter() {
                if value.mark == Mark::Reset {
                    map.set(host, value.clone());
                    continue;
                }
                match value.as_str() {
                    Some(address) => add(&mut map, host, address, value),
                    None => value
                        .items()
                        .iter()
                        .filter_map(|item| Some((item.as_str()?, item)))
                        .for_each(|(address, item)| add(&mut map, host, address, item)),
                }
            }
        }
        _ => return Ok(()),
    }
    node.value = Value::Map(map);
    Ok(())
}

fn add(map: &mut Map, host: &str, address: &str, from: &Node) {
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
    let address = Node::new(bare.unwrap_or(address), &from.place);
    match map.get_mut(host).map(|node| &mut node.value) {
        Some(Value::List(addresses)) => {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        _ => map.set(host, Node::new(vec![address], &from.place)),
    }
}
