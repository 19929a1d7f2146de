//! Which keys a printed project has, and in which order: the order Docker Compose prints them in, empty ones left out. What
//! is named by the user is sorted by name.

use std::cmp::Ordering;
use std::sync::LazyLock;

use crate::node::{Entry, Map, Node, Value};
use crate::table::{Branch, Table};

/// What is printed where.
#[derive(Clone, Copy)]
enum Shape {
    /// These keys in this order; extensions after them. A key with a `!` is printed even when it is empty, one with a `?`
    /// in JSON even when it is not there.
    Keys(&'static str),
    /// `host=address` in a list.
    Hosts,
    /// `id=path` in a list.
    Ssh,
}

/// For which reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// YAML: numbers in names count.
    Yaml,
    /// JSON: names are sorted letter by letter.
    Json,
}

/// Whether what is printed is read with variables again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dollars {
    /// It is: a dollar stays one when there are two.
    Doubled,
    /// It has its variables still.
    Kept,
}

const SERVICE: &str = "profiles annotations attach! build develop! blkio_config! cap_add cap_drop cgroup_parent cgroup \
    cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpus cpuset cpu_shares command? configs \
    container_name credential_spec! depends_on deploy! device_cgroup_rules devices dns dns_opt dns_search domainname \
    entrypoint? provider environment env_file expose extends external_links extra_hosts group_add gpus hostname \
    healthcheck! image init! ipc isolation labels label_file links logging! mem_limit mem_reservation memswap_limit \
    mem_swappiness mac_address models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports \
    privileged pull_policy pull_refresh_after read_only restart runtime scale! secrets security_opt shm_size stdin_open \
    stop_grace_period! stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volumes \
    volumes_from working_dir post_start pre_stop";

const UPDATE: &str = "parallelism! delay failure_action monitor max_failure_ratio order";
const HOOK: &str = "command! user privileged working_dir environment";
const MOUNT: &str = "source target uid gid mode!";

static SHAPES: LazyLock<Table<Shape>> = LazyLock::new(|| {
    use Shape::Keys;
    Table::new(&[
        ("services.*", Keys(SERVICE)),
        (
            "services.*.build",
            Keys(
                "context dockerfile dockerfile_inline entitlements args ssh labels cache_from cache_to no_cache \
                 additional_contexts pull extra_hosts isolation network target secrets shm_size tags ulimits platforms \
                 privileged provenance sbom",
            ),
        ),
        ("services.*.build.ssh", Shape::Ssh),
        ("services.*.build.extra_hosts", Shape::Hosts),
        ("services.*.build.secrets.*", Keys(MOUNT)),
        ("services.*.build.ulimits.*", Keys("soft! hard!")),
        ("services.*.extra_hosts", Shape::Hosts),
        ("services.*.{configs,secrets}.*", Keys(MOUNT)),
        ("services.*.ulimits.*", Keys("soft! hard!")),
        (
            "services.*.depends_on.*",
            Keys("condition restart required!"),
        ),
        ("services.*.env_file.*", Keys("path required! format")),
        ("services.*.devices.*", Keys("source target permissions")),
        ("services.*.develop", Keys("watch")),
        (
            "services.*.develop.watch.*",
            Keys("path action target exec include ignore initial_sync"),
        ),
        ("services.*.develop.watch.*.exec", Keys(HOOK)),
        ("services.*.{post_start,pre_stop}.*", Keys(HOOK)),
        ("services.*.credential_spec", Keys("config file registry")),
        (
            "services.*.blkio_config",
            Keys(
                "weight weight_device device_read_bps device_read_iops device_write_bps device_write_iops",
            ),
        ),
        ("services.*.blkio_config.*.*", Keys("path weight rate")),
        ("services.*.logging", Keys("driver options")),
        (
            "services.*.healthcheck",
            Keys("test timeout! interval! retries! start_period! start_interval! disable"),
        ),
        (
            "services.*.networks.*",
            Keys(
                "aliases driver_opts gw_priority interface_name ipv4_address ipv6_address link_local_ips mac_address priority",
            ),
        ),
        ("services.*.models.*", Keys("endpoint_var model_var")),
        ("services.*.provider", Keys("type options")),
        (
            "services.*.gpus.*",
            Keys("capabilities driver count device_ids options"),
        ),
        (
            "services.*.ports.*",
            Keys("name mode host_ip target published protocol app_protocol"),
        ),
        (
            "services.*.volumes.*",
            Keys("type source target read_only consistency bind! volume! tmpfs! image!"),
        ),
        (
            "services.*.volumes.*.bind",
            Keys("selinux propagation create_host_path! recursive"),
        ),
        ("services.*.volumes.*.volume", Keys("labels nocopy subpath")),
        ("services.*.volumes.*.tmpfs", Keys("size mode")),
        ("services.*.volumes.*.image", Keys("subpath")),
        (
            "services.*.deploy",
            Keys(
                "mode replicas! labels update_config! rollback_config! resources restart_policy! placement endpoint_mode",
            ),
        ),
        (
            "services.*.deploy.{update_config,rollback_config}",
            Keys(UPDATE),
        ),
        ("services.*.deploy.resources", Keys("limits! reservations!")),
        (
            "services.*.deploy.resources.{limits,reservations}",
            Keys("cpus memory pids devices generic_resources"),
        ),
        (
            "services.*.deploy.resources.reservations.devices.*",
            Keys("capabilities driver count device_ids options"),
        ),
        (
            "services.*.deploy.resources.reservations.generic_resources.*",
            Keys("discrete_resource_spec"),
        ),
        (
            "services.*.deploy.resources.reservations.generic_resources.*.discrete_resource_spec",
            Keys("kind value!"),
        ),
        (
            "services.*.deploy.restart_policy",
            Keys("condition delay! max_attempts! window!"),
        ),
        (
            "services.*.deploy.placement",
            Keys("constraints preferences max_replicas_per_node"),
        ),
        ("services.*.deploy.placement.preferences.*", Keys("spread")),
        (
            "networks.*",
            Keys(
                "name driver driver_opts ipam external internal attachable labels enable_ipv4! enable_ipv6!",
            ),
        ),
        ("networks.*.ipam", Keys("driver config options")),
        (
            "networks.*.ipam.config.*",
            Keys("subnet gateway ip_range aux_addresses"),
        ),
        ("volumes.*", Keys("name driver driver_opts external labels")),
        (
            "{configs,secrets}.*",
            Keys(
                "name file environment content external labels driver driver_opts template_driver",
            ),
        ),
        ("models.*", Keys("name model context_size runtime_flags")),
    ])
});

/// The sections of a project as YAML has them.
const SECTIONS: &str = "name services networks volumes secrets configs models";

/// A document as it is printed. Dollars in values are doubled, so that it reads back as what it is; keys have no variables.
pub(super) fn shape(document: &Node, format: Format) -> Node {
    let mut shaped = part(document, Some(SHAPES.root()), format, Dollars::Doubled);
    if let (Value::Map(map), Format::Yaml) = (&mut shaped.value, format) {
        *map = ordered(std::mem::take(map), SECTIONS, Keep::All);
    }
    shaped
}

/// A document with every map sorted, and nothing left out.
pub(super) fn sorted(document: &Node, format: Format) -> Node {
    part(document, None, format, Dollars::Kept)
}

fn part(node: &Node, branch: Option<&Branch<Shape>>, format: Format, dollars: Dollars) -> Node {
    let value = match &node.value {
        Value::List(items) => {
            let branch = branch.and_then(Branch::item);
            Value::List(
                items
                    .iter()
                    .map(|item| part(item, branch, format, dollars))
                    .collect(),
            )
        }
        Value::Map(map) => {
            let entries = map.entries().iter().map(|entry| Entry {
                key: entry.key.clone(),
                place: entry.place.clone(),
                value: part(
                    &entry.value,
                    branch.and_then(|b| b.child(&entry.key)),
                    format,
                    dollars,
                ),
            });
            let map: Map = entries.collect();
            match branch.and_then(|branch| branch.rule) {
                Some(Shape::Keys(keys)) => Value::Map(ordered(map, keys, Keep::Said(format))),
                Some(Shape::Hosts) => texts(node, hosts(&map)),
                Some(Shape::Ssh) => texts(node, ssh(&map)),
                None => Value::Map(by_name(map, format)),
            }
        }
        Value::String(text) if dollars == Dollars::Doubled => {
            Value::String(text.replace('$', "$$"))
        }
        value => value.clone(),
    };
    Node::new(value, &node.place)
}

fn texts(at: &Node, mut texts: Vec<String>) -> Value {
    texts.sort();
    Value::List(
        texts
            .into_iter()
            .map(|text| Node::new(text, &at.place))
            .collect(),
    )
}

fn hosts(map: &Map) -> Vec<String> {
    let addresses = |node: &Node| -> Vec<String> {
        node.items().iter().filter_map(Node::scalar_text).collect()
    };
    let one = |(host, node)| {
        addresses(node)
            .into_iter()
            .map(move |ip| format!("{host}={ip}"))
    };
    map.iter().flat_map(one).collect()
}

fn ssh(map: &Map) -> Vec<String> {
    let one = |(id, node): (&str, &Node)| match node.as_str() {
        None | Some("") => id.to_owned(),
        Some(path) => format!("{id}={path}"),
    };
    map.iter().map(one).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    Said(Format),
}

/// The named keys in their order, then all others by name.
fn ordered(mut map: Map, keys: &str, keep: Keep) -> Map {
    let mut out = Map::new();
    for word in keys.split_whitespace() {
        let key = word.trim_end_matches(['!', '?']);
        let value = match map.remove(key).filter(|value| !value.is_null()) {
            Some(value) => value,
            None if word.ends_with('?') && keep == Keep::Said(Format::Json) => {
                out.set_missing(key, Value::Null);
                continue;
            }
            None => continue,
        };
        if keep == Keep::All || word != key || !is_empty(&value) {
            out.set(key, value);
        }
    }
    for entry in by_name(map, Format::Yaml).into_entries() {
        out.push(entry);
    }
    out
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Int(number) => *number == 0,
        Value::Float(number) => *number == 0.0,
        Value::String(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
    }
}

fn by_name(map: Map, format: Format) -> Map {
    let mut entries = map.into_entries();
    match format {
        Format::Yaml => entries.sort_by(|left, right| natural(&left.key, &right.key)),
        Format::Json => entries.sort_by(|left, right| left.key.cmp(&right.key)),
    }
    entries.into_iter().collect()
}

/// How the YAML encoder of Go sorts keys: numbers within them by value, letters behind everything else.
fn natural(left: &str, right: &str) -> Ordering {
    let (l, r): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let Some(at) = (0..l.len().min(r.len())).find(|index| l[*index] != r[*index]) else {
        return l.len().cmp(&r.len());
    };
    let after_digit = at > 0 && l[at - 1].is_ascii_digit();
    let (a, b) = (l[at], r[at]);
    match (a.is_alphabetic(), b.is_alphabetic()) {
        (true, true) => return a.cmp(&b),
        (true, false) if after_digit => return Ordering::Less,
        (false, true) if after_digit => return Ordering::Greater,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => (),
    }
    let number = |letters: &[char]| {
        let digits: String = letters[at..]
            .iter()
            .take_while(|c| c.is_ascii_digit())
            .collect();
        let lead = letters[..at]
            .iter()
            .rev()
            .take_while(|c| c.is_ascii_digit())
            .any(|c| *c != '0');
        let lead = if lead && (a == '0' || b == '0') {
            "1"
        } else {
            ""
        };
        (
            format!("{lead}{digits}").parse::<u64>().unwrap_or(0),
            digits.len(),
        )
    };
    number(&l).cmp(&number(&r)).then(a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_as_people_count() {
        let mut names = vec!["web10", "web2", "Web", "a-b", "a_b", "ab", "a", "1", "web"];
        names.sort_by(|left, right| natural(left, right));
        assert_eq!(
            names,
            ["1", "Web", "a", "a-b", "a_b", "ab", "web", "web2", "web10"]
        );
    }
}
