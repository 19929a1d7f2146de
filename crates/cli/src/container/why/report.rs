//! The page that `why` prints.

use super::Known;
use super::cause::Verdict;
use crate::text::span;

/// The whole page, with a line end.
pub(super) fn page(
    program: &str,
    known: &Known,
    verdict: &Verdict,
    now: jiff::Timestamp,
) -> String {
    let container = &known.container;
    let name = container["Name"].as_str().unwrap_or_default();
    let name = name.trim_start_matches('/');
    let mut out = format!("{name} {}\n", verdict.what);
    for fact in verdict.facts.iter().chain(&when(known, now)) {
        out.push_str(&format!("  {fact}\n"));
    }
    match &known.log {
        Ok(_) if !verdict.speaks => {}
        Ok(lines) if lines.is_empty() => out.push_str("\nIt wrote nothing.\n"),
        Ok(lines) => {
            out.push_str("\nThe last it wrote:\n");
            for line in lines {
                out.push_str(format!("  | {line}").trim_end());
                out.push('\n');
            }
        }
        Err(error) => out.push_str(&format!("\nWhat it wrote cannot be read: {error}\n")),
    }
    if !verdict.advice.is_empty() {
        out.push_str("\nWhat to do:\n");
        for advice in &verdict.advice {
            let advice = advice.replace("ONGGI", program).replace("NAME", name);
            out.push_str(&format!("  - {advice}\n"));
        }
    }
    out
}

/// When it ran, and how often it was started again.
fn when(known: &Known, now: jiff::Timestamp) -> Vec<String> {
    let state = &known.container["State"];
    let time = |field: &str| {
        let time: jiff::Timestamp = state[field].as_str()?.parse().ok()?;
        // Go's zero time means never.
        (time.as_second() > 0).then_some(time)
    };
    let mut facts = Vec::new();
    let running = state["Running"].as_bool().unwrap_or(false);
    match (time("StartedAt"), time("FinishedAt")) {
        (Some(started), Some(ended)) if !running && ended >= started => facts.push(format!(
            "ended {} ago, after {}",
            span(ended, now),
            span(started, ended)
        )),
        (Some(started), _) if running => {
            facts.push(format!("started {} ago", span(started, now)));
        }
        _ => {}
    }
    let policy = &known.container["HostConfig"]["RestartPolicy"];
    let most = policy["MaximumRetryCount"].as_i64().unwrap_or(0);
    let count = known.container["RestartCount"].as_i64().unwrap_or(0);
    let policy = match policy["Name"].as_str().unwrap_or_default() {
        "on-failure" if most > 0 => format!("on-failure, {most} times at most"),
        other => other.to_owned(),
    };
    if !matches!(policy.as_str(), "" | "no") {
        let times = if count == 1 { "time" } else { "times" };
        facts.push(format!(
            "restart policy {policy}: started again {count} {times}"
        ));
    }
    facts
}
