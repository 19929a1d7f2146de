//! Answers recorded from the newest moby, read into our documents and written again: the same bytes.
//!
//! The recordings are of API 1.44 to 1.55. Those of 1.52 and newer have the key order of Go's structs and are
//! compared as text; `server` tests the bending for older ones.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as it does")]

use onggi_api::{container, event, exec, image, network, system};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const RECORDED: &str = include_str!("data/moby-2026-08.jsonl");

fn same<T: DeserializeOwned + Serialize>(row: &Value, count: &mut usize) {
    let text = row["answer"].to_string();
    let document: T = onggi_api::decode(text.as_bytes())
        .unwrap_or_else(|error| panic!("{} {}: {error}\n{text}", row["case"], row["path"]));
    let again = serde_json::to_string(&document).unwrap();
    assert_eq!(
        again, text,
        "{} {} {}",
        row["case"], row["api"], row["path"]
    );
    *count += 1;
}

#[test]
fn answers_are_written_to_the_byte() {
    let mut count = 0;
    for line in RECORDED.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let newest = matches!(row["api"].as_str(), Some("1.52" | "1.55"));
        if !newest || row["status"].as_u64() >= Some(400) {
            continue;
        }
        let path = row["path"].as_str().unwrap().split('?').next().unwrap();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let count = &mut count;
        match (row["method"].as_str().unwrap(), &parts[..]) {
            ("GET", ["version"]) => same::<system::Version>(&row, count),
            ("GET", ["info"]) => same::<system::Info>(&row, count),
            ("GET", ["containers", "json"]) => same::<Vec<container::Summary>>(&row, count),
            ("GET", ["containers", _, "json"]) => same::<container::Inspect>(&row, count),
            ("POST", ["containers", "create"]) => same::<container::CreateResponse>(&row, count),
            ("POST", ["containers", _, "exec"]) => same::<onggi_api::IdResponse>(&row, count),
            ("GET", ["exec", _, "json"]) => same::<exec::Inspect>(&row, count),
            ("GET", ["images", "json"]) => same::<Vec<image::Summary>>(&row, count),
            ("GET", ["images", _, "json"]) => same::<image::Inspect>(&row, count),
            ("GET", ["images", _, "history"]) => same::<Vec<image::HistoryItem>>(&row, count),
            ("GET", ["networks"]) => same::<Vec<network::Summary>>(&row, count),
            ("GET", ["networks", _]) => same::<network::Inspect>(&row, count),
            ("GET", ["events"]) => same::<Vec<event::Message>>(&row, count),
            ("GET", ["_ping"]) | ("POST", ["networks", "create"]) => {}
            other => panic!("no test for {other:?}"),
        }
    }
    assert!(count > 90, "only {count} answers compared");
}

#[test]
fn requests_are_read_and_nothing_is_lost() {
    let mut count = 0;
    for line in RECORDED.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        if row["method"] != "POST" || row["path"].as_str().unwrap().starts_with("/networks") {
            continue;
        }
        let body = row["body"].to_string();
        let again = if row["path"].as_str().unwrap().ends_with("/exec") {
            onggi_api::decode::<exec::CreateRequest>(body.as_bytes())
                .map(|request| serde_json::to_value(request).unwrap())
        } else {
            onggi_api::decode::<container::CreateRequest>(body.as_bytes())
                .map(|request| serde_json::to_value(request).unwrap())
        };
        let again = match again {
            Ok(again) => again,
            Err(error) => {
                assert_eq!(row["answer"]["message"], error.to_string());
                continue;
            }
        };
        contains(&again, &row["body"], &row["case"]);
        count += 1;
    }
    assert!(count > 40, "only {count} requests compared");
}

/// Every value of `part` that is not Go's zero is in `whole`.
fn contains(whole: &Value, part: &Value, case: &Value) {
    match part {
        Value::Object(fields) => {
            for (key, value) in fields {
                let zero =
                    value.is_null() || *value == 0 || *value == Value::Object(Default::default());
                if zero && whole.get(key).is_none() {
                    continue;
                }
                contains(
                    whole
                        .get(key)
                        .unwrap_or_else(|| panic!("{case}: {key} is lost")),
                    value,
                    case,
                );
            }
        }
        Value::Array(list) => {
            let all = whole.as_array().unwrap();
            assert_eq!(all.len(), list.len());
            for (whole, part) in all.iter().zip(list) {
                contains(whole, part, case);
            }
        }
        other => assert_eq!(whole, other, "{case}"),
    }
}
