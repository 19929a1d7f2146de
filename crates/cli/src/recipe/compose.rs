//! A recipe as a Compose file with one service.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Recipe, Said, Setting};

/// The file. What Compose cannot say is named in comments.
pub(crate) fn compose(recipe: &Recipe) -> String {
    let mut service = Map::new();
    service.insert("image".to_owned(), recipe.image.clone().into());
    let mut left_out = Vec::new();
    for setting in &recipe.settings {
        if setting.key.is_empty() {
            left_out.push(setting.flag);
            continue;
        }
        put(&mut service, setting);
    }
    if let Some(entrypoint) = &recipe.entrypoint {
        service.insert("entrypoint".to_owned(), entrypoint.clone().into());
    }
    if !recipe.command.is_empty() {
        service.insert("command".to_owned(), recipe.command.clone().into());
    }
    let mut file = Map::new();
    let name = if recipe.name.is_empty() {
        "service"
    } else {
        &recipe.name
    };
    let volumes = named(
        &service,
        |service| &service["volumes"],
        |volume| {
            let source = match volume {
                Value::Object(volume) if volume["type"] == "volume" => {
                    volume.get("source")?.as_str()?
                }
                Value::String(text) => text.split_once(':')?.0,
                _ => return None,
            };
            (!source.starts_with(['/', '.', '~'])).then(|| source.to_owned())
        },
    );
    let networks: Vec<String> = service
        .get("networks")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    file.insert("services".to_owned(), json!({name: service}));
    for (key, names) in [("networks", networks), ("volumes", volumes)] {
        // They are there already, under these names.
        let external: Map<String, Value> = names
            .into_iter()
            .map(|name| (name.clone(), json!({"external": true, "name": name})))
            .collect();
        if !external.is_empty() {
            file.insert(key.to_owned(), external.into());
        }
    }
    let mut out = String::new();
    for flag in left_out {
        let _ = writeln!(out, "# Compose has no word for --{flag}.");
    }
    write(&mut out, &file.into(), 0);
    out
}

/// Names of things that are made elsewhere, each once.
fn named(
    service: &Map<String, Value>,
    list: fn(&Value) -> &Value,
    name: fn(&Value) -> Option<String>,
) -> Vec<String> {
    let service = Value::Object(service.clone());
    let mut names: Vec<String> = list(&service)
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(name)
        .collect();
    names.sort();
    names.dedup();
    names
}

fn put(service: &mut Map<String, Value>, setting: &Setting) {
    let value = match (setting.flag, &setting.value) {
        ("mount", Said::List(list)) => list.iter().map(|spec| mount(spec)).collect(),
        ("ulimit", Said::List(list)) => ulimits(list),
        ("network", Said::List(list)) if setting.key == "networks" => networks(list),
        ("network" | "mac-address", Said::List(list)) => {
            list.first().cloned().unwrap_or_default().into()
        }
        ("log-opt", Said::List(list)) => pairs(list),
        ("stop-timeout", Said::Number(seconds)) => format!("{seconds}s").into(),
        ("health-cmd", Said::Text(line)) => json!(["CMD-SHELL", line]),
        (_, Said::List(list)) if setting.key.starts_with("blkio_config.") => {
            let number = if setting.flag == "blkio-weight-device" {
                "weight"
            } else {
                "rate"
            };
            let entries = list.iter().filter_map(|entry| {
                let (path, value) = entry.rsplit_once(':')?;
                Some(json!({"path": path, number: value.parse::<u64>().ok()?}))
            });
            entries.collect()
        }
        (_, Said::Switch(on)) => (*on).into(),
        (_, Said::Number(number)) => (*number).into(),
        (_, Said::Text(text)) => text.clone().into(),
        (_, Said::List(list)) => list.clone().into(),
    };
    let mut map = service;
    let mut key = setting.key;
    while let Some((first, rest)) = key.split_once('.') {
        let inner = map.entry(first).or_insert_with(|| json!({}));
        match inner.as_object_mut() {
            Some(inner) => map = inner,
            None => return,
        }
        key = rest;
    }
    match (map.get_mut(key), value) {
        // `-v` and `--mount` are one list here.
        (Some(Value::Array(old)), Value::Array(new)) => old.extend(new),
        (_, value) => {
            map.insert(key.to_owned(), value);
        }
    }
}

fn pairs(list: &[String]) -> Value {
    let pairs = list.iter().filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect::<Map<_, _>>()
        .into()
}

fn ulimits(list: &[String]) -> Value {
    let limits = list.iter().filter_map(|limit| {
        let (name, values) = limit.split_once('=')?;
        let number = |text: &str| text.parse::<i64>().ok();
        let value = match values.split_once(':') {
            Some((soft, hard)) => json!({"soft": number(soft)?, "hard": number(hard)?}),
            None => number(values)?.into(),
        };
        Some((name.to_owned(), value))
    });
    limits.collect::<Map<_, _>>().into()
}

fn networks(list: &[String]) -> Value {
    let mut all = Map::new();
    for spec in list {
        let Some(fields) = spec.strip_prefix("name=") else {
            all.insert(spec.clone(), Value::Null);
            continue;
        };
        let mut fields = fields.split(',');
        let name = fields.next().unwrap_or_default().to_owned();
        let mut network = Map::new();
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            let (key, value) = match key {
                "alias" => ("aliases", json!([value])),
                "ip" => ("ipv4_address", value.into()),
                "ip6" => ("ipv6_address", value.into()),
                "link-local-ip" => ("link_local_ips", json!([value])),
                "gw-priority" => ("gw_priority", json!(value.parse::<i64>().unwrap_or(0))),
                "driver-opt" => ("driver_opts", pairs(&[value.to_owned()])),
                _ => continue,
            };
            match (network.get_mut(key), value) {
                (Some(Value::Array(old)), Value::Array(new)) => old.extend(new),
                (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
                (_, value) => {
                    network.insert(key.to_owned(), value);
                }
            }
        }
        all.insert(name, network.into());
    }
    all.into()
}

/// A mount in the long form of Compose.
fn mount(spec: &str) -> Value {
    let mut map = Map::new();
    for field in onggi_model::csv(spec) {
        let (key, value) = field.split_once('=').unwrap_or((&field, "true"));
        let (group, key, value): (&str, &str, Value) = match key {
            "readonly" => ("", "read_only", true.into()),
            "bind-propagation" => ("bind", "propagation", value.into()),
            "bind-recursive" => ("bind", "recursive", value.into()),
            "bind-create-src" => ("bind", "create_host_path", true.into()),
            "volume-nocopy" => ("volume", "nocopy", true.into()),
            "volume-subpath" => ("volume", "subpath", value.into()),
            "image-subpath" => ("image", "subpath", value.into()),
            "tmpfs-size" => ("tmpfs", "size", value.into()),
            "tmpfs-mode" => {
                let mode = i64::from_str_radix(value, 8).unwrap_or(0);
                ("tmpfs", "mode", mode.into())
            }
            // Labels and drivers belong to the volume, which is made elsewhere.
            "volume-label" | "volume-driver" | "volume-opt" => continue,
            other => ("", other, value.into()),
        };
        let map = match group {
            "" => &mut map,
            group => match map
                .entry(group)
                .or_insert_with(|| json!({}))
                .as_object_mut()
            {
                Some(inner) => inner,
                None => continue,
            },
        };
        map.insert(key.to_owned(), value);
    }
    map.into()
}

/// Writes a value as YAML, `depth` levels in.
fn write(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let _ = write!(out, "{indent}{}:", scalar(key));
                below(out, value, depth + 1);
            }
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(_) => {
                        let mut inner = String::new();
                        write(&mut inner, item, depth + 1);
                        // The first key stands behind the dash.
                        let _ = write!(out, "{indent}- {}", inner.trim_start());
                    }
                    _ => {
                        let _ = write!(out, "{indent}-");
                        below(out, item, depth + 1);
                    }
                }
            }
        }
        _ => {}
    }
}

fn below(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => out.push('\n'),
        Value::Object(map) if map.is_empty() => out.push_str(" {}\n"),
        Value::Array(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            write(out, value, depth);
        }
        Value::String(text) => {
            // Compose puts variables in place of dollars.
            let _ = writeln!(out, " {}", scalar(&text.replace('$', "$$")));
        }
        other => {
            let _ = writeln!(out, " {other}");
        }
    }
}

/// A text as YAML: plain where nobody could take it for something else, else in double quotes.
fn scalar(text: &str) -> String {
    let first = text.chars().next();
    let plain = first.is_some_and(|c| c.is_ascii_alphabetic() || c == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./=@+".contains(c))
        && !matches!(
            text.to_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if plain {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}
