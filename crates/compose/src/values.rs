//! Numbers, truths, sizes, durations and file modes. What comes out of a variable is a text, and many keys may be written
//! as a text anyway: here each becomes what its key wants. [`cast`] makes numbers and truths, before the schema is held
//! against a document; [`finish`] writes sizes, durations and modes as Docker Compose prints them.

use std::sync::LazyLock;

use onggi_model::units::{go_duration, parse_duration, ram_in_bytes};

use crate::error::Problem;
use crate::node::{Mark, Node, Value};
use crate::scalar;
use crate::table::{Branch, Table};

/// What a key wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A whole number.
    Int,
    /// A whole number, or `all`.
    Count,
    /// Microseconds, or a duration.
    Micros,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
    /// Bytes: `512m`.
    Size,
    /// `1m30s`.
    Duration,
    /// `0444`.
    Mode,
    /// A text, whatever it looks like.
    Text,
}

static KINDS: LazyLock<Table<Kind>> = LazyLock::new(|| {
    Table::new(&[
        (
            "services.*.{cpu_count,cpu_period,cpu_quota,cpu_shares,oom_score_adj,pids_limit,scale}",
            Kind::Int,
        ),
        ("services.*.{cpu_rt_period,cpu_rt_runtime}", Kind::Micros),
        ("services.*.{cpus,cpu_percent}", Kind::Float),
        (
            "services.*.{attach,init,oom_kill_disable,privileged,read_only,stdin_open,tty,use_api_socket}",
            Kind::Bool,
        ),
        (
            "services.*.{mem_limit,mem_reservation,memswap_limit,mem_swappiness,shm_size}",
            Kind::Size,
        ),
        ("services.*.stop_grace_period", Kind::Duration),
        ("services.*.{group_add,expose,storage_opt}.*", Kind::Text),
        ("services.*.logging.options.*", Kind::Text),
        ("services.*.blkio_config.weight", Kind::Int),
        ("services.*.blkio_config.weight_device.*.weight", Kind::Int),
        (
            "services.*.blkio_config.{device_read_bps,device_read_iops,device_write_bps,device_write_iops}.*.rate",
            Kind::Size,
        ),
        ("services.*.build.{no_cache,pull,privileged}", Kind::Bool),
        ("services.*.build.shm_size", Kind::Size),
        ("services.*.build.{provenance,sbom}", Kind::Text),
        ("services.*.build.secrets.*.mode", Kind::Mode),
        ("services.*.{configs,secrets}.*.mode", Kind::Mode),
        ("services.*.ulimits.*", Kind::Int),
        ("services.*.build.ulimits.*", Kind::Int),
        ("services.*.build.ulimits.*.{soft,hard}", Kind::Int),
        ("services.*.ulimits.*.{soft,hard}", Kind::Int),
        ("services.*.depends_on.*.{restart,required}", Kind::Bool),
        ("services.*.env_file.*.required", Kind::Bool),
        ("services.*.deploy.replicas", Kind::Int),
        (
            "services.*.deploy.{update_config,rollback_config}.parallelism",
            Kind::Int,
        ),
        (
            "services.*.deploy.{update_config,rollback_config}.max_failure_ratio",
            Kind::Float,
        ),
        (
            "services.*.deploy.{update_config,rollback_config}.{delay,monitor}",
            Kind::Duration,
        ),
        ("services.*.deploy.restart_policy.max_attempts", Kind::Int),
        (
            "services.*.deploy.restart_policy.{delay,window}",
            Kind::Duration,
        ),
        (
            "services.*.deploy.placement.max_replicas_per_node",
            Kind::Int,
        ),
        (
            "services.*.deploy.resources.{limits,reservations}.cpus",
            Kind::Float,
        ),
        (
            "services.*.deploy.resources.{limits,reservations}.memory",
            Kind::Size,
        ),
        ("services.*.deploy.resources.limits.pids", Kind::Int),
        (
            "services.*.deploy.resources.reservations.devices.*.count",
            Kind::Count,
        ),
        (
            "services.*.deploy.resources.reservations.generic_resources.*.discrete_resource_spec.value",
            Kind::Int,
        ),
        ("services.*.gpus.*.count", Kind::Count),
        ("services.*.healthcheck.disable", Kind::Bool),
        ("services.*.healthcheck.retries", Kind::Int),
        (
            "services.*.healthcheck.{interval,timeout,start_period,start_interval}",
            Kind::Duration,
        ),
        ("services.*.networks.*.{priority,gw_priority}", Kind::Int),
        ("services.*.networks.*.driver_opts.*", Kind::Text),
        ("services.*.ports.*.target", Kind::Int),
        ("services.*.ports.*.published", Kind::Text),
        ("services.*.{post_start,pre_stop}.*.privileged", Kind::Bool),
        ("services.*.develop.watch.*.initial_sync", Kind::Bool),
        ("services.*.develop.watch.*.exec.privileged", Kind::Bool),
        ("services.*.volumes.*.read_only", Kind::Bool),
        ("services.*.volumes.*.bind.create_host_path", Kind::Bool),
        ("services.*.volumes.*.volume.nocopy", Kind::Bool),
        ("services.*.volumes.*.tmpfs.size", Kind::Size),
        ("services.*.volumes.*.tmpfs.mode", Kind::Mode),
        ("{networks,volumes,configs,secrets}.*.external", Kind::Bool),
        (
            "networks.*.{internal,attachable,enable_ipv4,enable_ipv6}",
            Kind::Bool,
        ),
        ("{networks,volumes,secrets}.*.driver_opts.*", Kind::Text),
        ("models.*.context_size", Kind::Int),
    ])
});

/// Makes numbers and truths of the texts that stand where those are wanted. What could have been written better comes
/// back as a warning.
///
/// # Errors
/// A text that is no such thing.
pub(crate) fn cast(document: &mut Node, warnings: &mut Vec<String>) -> Result<(), Problem> {
    walk(
        document,
        KINDS.root(),
        &mut Vec::new(),
        &mut |node, kind| {
            let Some(text) = node.as_str() else {
                return Ok(());
            };
            let invalid = |what: &str| {
                Err(format!(
                    "failed to cast to expected type: invalid {what}: {text}"
                ))
            };
            let value = match kind {
                Kind::Int => match scalar::resolve(text) {
                    Value::Int(number) => Value::Int(number),
                    _ => return invalid("whole number"),
                },
                Kind::Count if text != "all" => match scalar::resolve(text) {
                    Value::Int(number) => Value::Int(number),
                    _ => {
                        return invalid(
                            "value for 'count', the only value allowed is 'all' or a number",
                        );
                    }
                },
                Kind::Float => match scalar::resolve(text) {
                    Value::Int(number) => Value::Int(number),
                    Value::Float(number) => Value::Float(number),
                    _ => return invalid("number"),
                },
                Kind::Bool => match truth(text) {
                    Some((value, instead)) => {
                        if let Some(instead) = instead {
                            warnings.push(format!(
                            "{}: \"{text}\" for boolean is not supported by YAML 1.2, please use `{instead}`",
                            node.place
                        ));
                        }
                        Value::Bool(value)
                    }
                    None => return invalid("boolean"),
                },
                _ => return Ok(()),
            };
            node.value = value;
            Ok(())
        },
    )
}

/// Writes sizes as bytes, durations as Go does, modes in octal, and texts as texts.
///
/// # Errors
/// A text that is no size, duration or mode.
pub(crate) fn finish(document: &mut Node) -> Result<(), Problem> {
    walk(
        document,
        KINDS.root(),
        &mut Vec::new(),
        &mut |node, kind| {
            if node.is_null() || node.as_map().is_some() || matches!(node.value, Value::List(_)) {
                return Ok(());
            }
            node.value = match kind {
                Kind::Size => Value::String(size(&node.value)?.to_string()),
                Kind::Duration => match node.as_str() {
                    Some(text) => duration(text)?,
                    None => return Ok(()),
                },
                Kind::Micros => match (&node.value, node.as_str()) {
                    (_, Some(text)) => micros(text)?,
                    (value, None) => whole(value),
                },
                Kind::Mode => mode(&node.value)?,
                Kind::Text => match node.scalar_text() {
                    Some(text) => Value::String(text),
                    None => return Ok(()),
                },
                Kind::Count if node.as_str() == Some("all") => Value::Int(-1),
                Kind::Int => whole(&node.value),
                Kind::Count | Kind::Float | Kind::Bool => return Ok(()),
            };
            Ok(())
        },
    )
}

/// A truth, and the word that should have been written.
fn truth(text: &str) -> Option<(bool, Option<&'static str>)> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some((true, None)),
        "false" => Some((false, None)),
        "y" | "yes" | "on" => Some((true, Some("true"))),
        "n" | "no" | "off" => Some((false, Some("false"))),
        _ => None,
    }
}

/// Bytes: a number of them, or a text with a unit.
pub(crate) fn size(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Float(number) => Ok(*number as i64),
        Value::String(text) => match text.parse() {
            Ok(number) => Ok(number),
            Err(_) => ram_in_bytes(text).map_err(|error| error.to_string()),
        },
        _ => Err("a size is a number or a text".to_owned()),
    }
}

fn duration(text: &str) -> Result<Value, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    Ok(Value::String(go_duration(duration)))
}

fn micros(text: &str) -> Result<Value, String> {
    if let Value::Int(number) = scalar::resolve(text) {
        return Ok(Value::Int(number));
    }
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    Ok(Value::Int(duration.as_micros() as i64))
}

fn mode(value: &Value) -> Result<Value, String> {
    let bits = match value {
        Value::Int(bits) => Some(*bits),
        Value::Float(bits) => Some(*bits as i64),
        Value::String(text) => i64::from_str_radix(text.trim_start_matches("0o"), 8).ok(),
        _ => None,
    };
    match bits {
        Some(0) => Ok(Value::from("0")),
        Some(bits @ 1..=0o7777) => Ok(Value::String(format!("0{bits:o}"))),
        _ => Err("a mode is an octal number from 0 to 07777".to_owned()),
    }
}

fn whole(value: &Value) -> Value {
    match value {
        Value::Float(number) if number.fract() == 0.0 => Value::Int(*number as i64),
        value => value.clone(),
    }
}

fn walk(
    node: &mut Node,
    branch: &Branch<Kind>,
    path: &mut Vec<String>,
    act: &mut dyn FnMut(&mut Node, Kind) -> Result<(), String>,
) -> Result<(), Problem> {
    if node.mark == Mark::Reset {
        return Ok(());
    }
    if let Some(kind) = branch.rule {
        let place = node.place.clone();
        act(node, kind).map_err(|message| Problem::new(&place, path.join("."), message))?;
    }
    match &mut node.value {
        Value::Map(map) => {
            for (key, value) in map.iter_mut() {
                if let Some(branch) = branch.child(key) {
                    path.push(key.to_owned());
                    walk(value, branch, path, act)?;
                    path.pop();
                }
            }
        }
        Value::List(items) => {
            if let Some(branch) = branch.item() {
                for (index, item) in items.iter_mut().enumerate() {
                    path.push(index.to_string());
                    walk(item, branch, path, act)?;
                    path.pop();
                }
            }
        }
        _ => (),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn service(text: &str) -> Result<Node, String> {
        let text = format!("services: {{web: {{{text}}}}}");
        let mut document = yaml::parse(&text, "f").unwrap().remove(0);
        cast(&mut document, &mut Vec::new()).map_err(|p| p.message)?;
        finish(&mut document).map_err(|p| p.message)?;
        Ok(document.at(&["services", "web"]).unwrap().clone())
    }

    #[test]
    fn texts_become_what_their_keys_want() {
        for (text, key, value) in [
            ("privileged: 'true'", "privileged", Value::Bool(true)),
            ("tty: yes", "tty", Value::Bool(true)),
            ("mem_limit: 1.5k", "mem_limit", Value::from("1536")),
            ("mem_limit: 64", "mem_limit", Value::from("64")),
            ("memswap_limit: -1", "memswap_limit", Value::from("-1")),
            ("cpus: '0.5'", "cpus", Value::Float(0.5)),
            ("scale: '3'", "scale", Value::Int(3)),
            (
                "stop_grace_period: 90s",
                "stop_grace_period",
                Value::from("1m30s"),
            ),
            (
                "cpu_rt_runtime: 400ms",
                "cpu_rt_runtime",
                Value::Int(400_000),
            ),
            ("cpu_rt_runtime: '9'", "cpu_rt_runtime", Value::Int(9)),
        ] {
            assert_eq!(
                service(text).unwrap().get(key).unwrap().value,
                value,
                "{text}"
            );
        }
        let modes =
            service("configs: [{source: a, mode: 0440}, {source: b, mode: '0440'}]").unwrap();
        for item in modes.get("configs").unwrap().items() {
            assert_eq!(item.text("mode"), Some("0440"));
        }
    }

    #[test]
    fn what_is_no_such_thing_is_refused() {
        for (text, message) in [
            (
                "tty: maybe",
                "failed to cast to expected type: invalid boolean: maybe",
            ),
            (
                "scale: two",
                "failed to cast to expected type: invalid whole number: two",
            ),
            (
                "cpus: many",
                "failed to cast to expected type: invalid number: many",
            ),
        ] {
            assert_eq!(service(text).unwrap_err(), message);
        }
        assert!(service("mem_limit: lots").is_err());
        assert!(
            service("stop_grace_period: 10")
                .unwrap()
                .get("stop_grace_period")
                .is_some()
        );
        assert!(service("stop_grace_period: '10'").is_err());
        assert!(service("secrets: [{source: a, mode: rw}]").is_err());
    }
}
