//! The table of orders: graphs of services, and who waits for whom in the plans made of them.

use super::{Facts, after_up, application, up, waits};
use crate::command::Up;
use crate::plan::{Act, After, Plan};

/// Services and what each waits for, `web: db healthy? setup`; then pairs that must wait, and pairs that must not.
struct Row {
    graph: &'static str,
    waits: &'static [(&'static str, &'static str)],
    free: &'static [(&'static str, &'static str)],
}

const fn row(
    graph: &'static str,
    waits: &'static [(&'static str, &'static str)],
    free: &'static [(&'static str, &'static str)],
) -> Row {
    Row { graph, waits, free }
}

/// `+` is healthy, `!` completed, `?` not required.
const TABLE: &[Row] = &[
    row("a", &[], &[]),
    row("a, b", &[], &[("a", "b"), ("b", "a")]),
    row("a: b, b", &[("a", "b")], &[("b", "a")]),
    row(
        "a: b, b: c, c",
        &[("a", "b"), ("b", "c"), ("a", "c")],
        &[("c", "a")],
    ),
    row(
        "a: b c, b, c",
        &[("a", "b"), ("a", "c")],
        &[("b", "c"), ("c", "b")],
    ),
    row(
        "a: c, b: c, c",
        &[("a", "c"), ("b", "c")],
        &[("a", "b"), ("b", "a")],
    ),
    row(
        "a: b c, b: d, c: d, d",
        &[("a", "d"), ("b", "d"), ("c", "d")],
        &[("b", "c"), ("c", "b")],
    ),
    row(
        "a: b+, b",
        &[("a", "wait b"), ("wait b", "b"), ("a", "b")],
        &[],
    ),
    row("a: b!, b", &[("a", "wait b!"), ("wait b!", "b")], &[]),
    row(
        "a: b+ c!, b, c",
        &[("a", "wait b"), ("a", "wait c!")],
        &[("wait b", "c"), ("wait c!", "b")],
    ),
    row(
        "a: b+, c: b, b",
        &[("a", "wait b"), ("c", "b")],
        &[("c", "wait b"), ("c", "a")],
    ),
    row(
        "a: b+, c: b+, b",
        &[("a", "wait b"), ("c", "wait b")],
        &[("a", "c")],
    ),
    row(
        "a: b!, b: c+, c",
        &[("a", "wait b!"), ("b", "wait c"), ("a", "c")],
        &[],
    ),
    row("a: b?, b", &[("a", "b")], &[]),
    row("a: b+?, b", &[("a", "wait b")], &[]),
    row(
        "a: b!? c, b, c",
        &[("a", "wait b!"), ("a", "c")],
        &[("c", "b")],
    ),
    row(
        "a: b, b: c+ d!, c, d, e",
        &[("a", "wait c"), ("a", "wait d!")],
        &[("e", "a"), ("a", "e")],
    ),
    row(
        "a: b, c: d, b, d",
        &[("a", "b"), ("c", "d")],
        &[("a", "d"), ("c", "b")],
    ),
    row(
        "a: b+ c+ d+ e+, b, c, d, e",
        &[("a", "wait b"), ("a", "wait e")],
        &[("wait b", "c"), ("wait e", "d")],
    ),
    row(
        "a: b!, b, c: b+, d: c",
        &[("a", "wait b!"), ("c", "wait b"), ("d", "c")],
        &[("d", "a")],
    ),
];

/// The file of a graph.
fn file(graph: &str) -> String {
    let mut text = "services:\n".to_owned();
    for service in graph.split(", ") {
        let (name, others) = service.split_once(": ").unwrap_or((service, ""));
        text += &format!("  {name}:\n    image: i\n    healthcheck: {{test: 'true'}}\n");
        if !others.is_empty() {
            text += "    depends_on:\n";
        }
        for other in others.split_whitespace() {
            let condition = match () {
                () if other.contains('+') => "service_healthy",
                () if other.contains('!') => "service_completed_successfully",
                () => "service_started",
            };
            let required = !other.contains('?');
            let other = other.trim_end_matches(['+', '!', '?']);
            text += &format!("      {other}: {{condition: {condition}, required: {required}}}\n");
        }
    }
    text
}

/// How an operation is printed: `a` starts the service, `wait a` waits for its health, `wait a!` for its end.
fn operation(word: &str) -> String {
    match word.strip_prefix("wait ") {
        Some(name) => match name.strip_suffix('!') {
            Some(name) => format!("wait for {name} (service_completed_successfully)"),
            None => format!("wait for {name} (service_healthy)"),
        },
        None => format!("start container p-{word}-1"),
    }
}

#[test]
fn services_start_when_what_they_wait_for_is_there() {
    assert_eq!(TABLE.len(), 20);
    for row in TABLE {
        let application = application(&file(row.graph));
        let mut facts = Facts::default();
        facts
            .images
            .insert("i".to_owned(), crate::plan::ImageFacts::default());
        let plan = up(&application, &facts, &Up::default());
        for (later, earlier) in row.waits {
            assert!(
                waits(&plan, &operation(later), &operation(earlier)),
                "{}: {later} {earlier}\n{plan}",
                row.graph
            );
        }
        for (later, earlier) in row.free {
            assert!(
                !waits(&plan, &operation(later), &operation(earlier)),
                "{}: {later} {earlier}\n{plan}",
                row.graph
            );
        }
        // Everything is made without waiting for anything that starts.
        for (index, one) in plan.operations.iter().enumerate() {
            if matches!(one.act, Act::Create { .. }) {
                let starts = |after: &After| {
                    matches!(plan.operations[after.operation].act, Act::Start { .. })
                };
                assert!(!one.after.iter().any(starts), "{}: {index}", row.graph);
            }
            assert!(
                one.after.iter().all(|after| after.operation < index),
                "{}",
                row.graph
            );
        }
    }
}

/// What is not done when an operation fails: everything that needs it, and nobody else.
fn lost(plan: &Plan, failed: &str) -> Vec<String> {
    let mut gone: Vec<usize> = Vec::new();
    for (index, one) in plan.operations.iter().enumerate() {
        let own = one.act.to_string() == failed;
        let needs = one
            .after
            .iter()
            .any(|after| after.needed && gone.contains(&after.operation));
        if own || needs {
            gone.push(index);
        }
    }
    let starts = gone
        .into_iter()
        .filter_map(|index| match &plan.operations[index].act {
            Act::Start { target } => Some(target.service.clone()),
            _ => None,
        });
    starts.collect()
}

#[test]
fn what_fails_stops_those_that_need_it() {
    for (graph, failed, wanted) in [
        ("a: b, b, c", "start container p-b-1", &["b", "a"][..]),
        ("a: b, b, c", "start container p-c-1", &["c"]),
        ("a: b+, b", "wait for b (service_healthy)", &["a"]),
        ("a: b+?, b", "wait for b (service_healthy)", &[]),
        ("a: b?, b", "start container p-b-1", &["b"]),
        (
            "a: b!, b, c: b",
            "wait for b (service_completed_successfully)",
            &["a"],
        ),
        (
            "a: b, b: c!, c, d",
            "wait for c (service_completed_successfully)",
            &["b", "a"],
        ),
        ("a: b, b", "create network p_default", &["b", "a"]),
        ("a: b, b", "create container p-a-1", &["a"]),
    ] {
        let application = application(&file(graph));
        let mut facts = Facts::default();
        facts
            .images
            .insert("i".to_owned(), crate::plan::ImageFacts::default());
        let plan = up(&application, &facts, &Up::default());
        assert_eq!(lost(&plan, failed), wanted, "{graph}: {failed}\n{plan}");
    }
}

#[test]
fn circles_are_refused() {
    for (graph, text) in [
        ("a: b, b: a", "a -> b"),
        ("a: b, b: c, c: a, d", "a -> b -> c"),
        ("a: b+, b: c!, c: b", "a -> b -> c"),
    ] {
        let mut application =
            application("services: {a: {image: i}, b: {image: i}, c: {image: i}, d: {image: i}}");
        for service in graph.split(", ") {
            let (name, others) = service.split_once(": ").unwrap_or((service, ""));
            for other in others.split_whitespace() {
                let other = other.trim_end_matches(['+', '!', '?']).to_owned();
                let service = application.services.get_mut(name).unwrap();
                service
                    .depends_on
                    .insert(other, crate::service::DependsOn::default());
            }
        }
        let error = super::super::up(&application, &Facts::default(), &Up::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("dependency cycle detected: {text}")
        );
    }
}

#[test]
fn who_wants_to_be_restarted_stops_before_and_starts_after() {
    let text = "
services:
  a: {image: i, depends_on: {b: {condition: service_healthy, restart: true}}}
  b: {image: i, healthcheck: {test: 'true'}, hostname: one}
  c: {image: i, depends_on: [b]}
";
    let facts = after_up(&application(text));
    let plan = up(
        &application(&text.replace("hostname: one", "hostname: two")),
        &facts,
        &Up::default(),
    );
    assert!(
        waits(&plan, "recreate container p-b-1", "stop container p-a-1"),
        "{plan}"
    );
    assert!(
        waits(
            &plan,
            "start container p-a-1",
            "wait for b (service_healthy)"
        ),
        "{plan}"
    );
    assert!(
        !super::acts(&plan).iter().any(|act| act.contains("p-c-1")),
        "{plan}"
    );
}
