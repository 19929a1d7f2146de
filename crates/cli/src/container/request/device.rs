//! `--device`, `--gpus` and the limits of block devices.

use std::collections::BTreeMap;

use onggi_api::container::{DeviceMapping, DeviceRequest, ThrottleDevice, WeightDevice};

use crate::args::Matches;
use crate::args::check::parse_int;
use crate::error::{Error, Result};

/// `--device`: devices of the host, and devices of the Container Device Interface (`vendor/class=name`).
pub(super) fn devices(matches: &Matches) -> Result<(Vec<DeviceMapping>, Vec<DeviceRequest>)> {
    let mut mappings = Vec::new();
    let mut named = Vec::new();
    for spec in matches.all("device") {
        if is_cdi(spec) {
            named.push(spec.to_owned());
        } else {
            mappings.push(mapping(spec)?);
        }
    }
    let mut requests = Vec::new();
    if !named.is_empty() {
        requests.push(DeviceRequest {
            driver: "cdi".to_owned(),
            device_ids: Some(named),
            ..DeviceRequest::default()
        });
    }
    for spec in matches.all("gpus") {
        requests.push(gpus(spec).map_err(Error::new)?);
    }
    Ok((mappings, requests))
}

fn is_cdi(spec: &str) -> bool {
    let Some((kind, name)) = spec.split_once('=') else {
        return false;
    };
    let Some((vendor, class)) = kind.split_once('/') else {
        return false;
    };
    !vendor.is_empty() && !class.is_empty() && !name.is_empty() && !spec.starts_with('/')
}

/// `SOURCE[:TARGET][:MODE]`.
fn mapping(spec: &str) -> Result<DeviceMapping> {
    let is_mode = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| "rwm".contains(c))
            && text
                .chars()
                .enumerate()
                .all(|(i, c)| !text[..i].contains(c))
    };
    let parts: Vec<&str> = spec.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, mode] if is_mode(mode) => (source, source, mode),
        [source, target] => (source, target, "rwm"),
        [source, target, mode] if is_mode(mode) => (source, target, mode),
        [_, _, mode] => return Err(Error::new(format!("bad mode specified: {mode}"))),
        _ => return Err(Error::new(format!("bad format for path: {spec}"))),
    };
    for path in [source, target] {
        if !path.starts_with('/') {
            return Err(Error::new(format!("{path} is not an absolute path")));
        }
    }
    Ok(DeviceMapping {
        path_on_host: source.to_owned(),
        path_in_container: target.to_owned(),
        cgroup_permissions: mode.to_owned(),
    })
}

/// Is this a value of `--gpus`?
pub(crate) fn check_gpus(spec: &str) -> std::result::Result<(), String> {
    gpus(spec).map(drop)
}

/// `all`, a number, or `key=value` fields, of which lists are quoted as in CSV.
fn gpus(spec: &str) -> std::result::Result<DeviceRequest, String> {
    let mut request = DeviceRequest {
        count: 0,
        capabilities: Some(Vec::new()),
        options: Some(BTreeMap::new()),
        ..DeviceRequest::default()
    };
    let mut capabilities: Vec<String> = Vec::new();
    let (mut counted, mut named) = (false, false);
    let mut seen = Vec::new();
    for field in onggi_model::csv(spec) {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => ("count".to_owned(), None),
        };
        if seen.contains(&key) {
            return Err(format!(
                "gpu request key '{key}' can be specified only once"
            ));
        }
        seen.push(key.clone());
        match (key.as_str(), value) {
            ("count", value) => {
                let value = value.unwrap_or(field);
                request.count = count(&value)?;
                counted = true;
            }
            ("driver", Some(value)) => request.driver = value,
            ("device", Some(value)) => {
                request.device_ids = Some(value.split(',').map(str::to_owned).collect());
                named = true;
            }
            ("capabilities", Some(value)) => {
                capabilities = value.split(',').map(str::to_owned).collect();
                capabilities.push("gpu".to_owned());
            }
            ("options", Some(value)) => {
                let options = onggi_model::csv(&value)
                    .iter()
                    .map(|option| option.split_once('=').unwrap_or((option, "")))
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect();
                request.options = Some(options);
            }
            (key, _) => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    if !counted && !named {
        request.count = 1;
    }
    if capabilities.is_empty() {
        capabilities.push("gpu".to_owned());
    }
    request.capabilities = Some(vec![capabilities]);
    Ok(request)
}

fn count(text: &str) -> std::result::Result<i64, String> {
    if text == "all" {
        return Ok(-1);
    }
    parse_int(text).map_err(|error| {
        let reason = error.rsplit(": ").next().unwrap_or_default().to_owned();
        format!("invalid count ({text}): value must be either \"all\" or an integer: {reason}")
    })
}

/// `--blkio-weight-device`.
pub(super) fn weights(matches: &Matches) -> Vec<WeightDevice> {
    matches
        .all("blkio-weight-device")
        .filter_map(|spec| {
            let (path, weight) = spec.split_once(':')?;
            Some(WeightDevice {
                path: path.to_owned(),
                weight: weight.parse().ok()?,
            })
        })
        .collect()
}

/// `--device-read-bps` and the like.
pub(super) fn throttles(matches: &Matches, flag: &str) -> Vec<ThrottleDevice> {
    matches
        .all(flag)
        .filter_map(|spec| {
            let (path, rate) = spec.split_once(':')?;
            let rate = if flag.ends_with("bps") {
                u64::try_from(onggi_model::units::ram_in_bytes(rate).ok()?).ok()?
            } else {
                rate.parse().ok()?
            };
            Some(ThrottleDevice {
                path: path.to_owned(),
                rate,
            })
        })
        .collect()
}
