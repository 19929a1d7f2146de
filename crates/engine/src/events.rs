//! What happened, for those who listen: a bus with a short memory.
//!
//! Publishing never waits: a listener that does not keep up loses its place and its stream ends, as dockerd's
//! does. The last [`HISTORY`] events are kept for `since`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use onggi_api::event::{Actor, Message};
use onggi_model::{Filters, Timestamp};
use tokio::sync::{broadcast, mpsc};

/// How many past events `since` can reach.
const HISTORY: usize = 256;

/// The filters that `events` knows.
pub(crate) const FILTERS: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// The bus.
pub(crate) struct Bus {
    past: Mutex<VecDeque<Message>>,
    live: broadcast::Sender<Message>,
}

/// Which events a listener wants.
#[derive(Clone, Debug, Default)]
pub struct EventsOptions {
    /// Events from this time on, those remembered.
    pub since: Option<Timestamp>,
    /// The stream ends at this time.
    pub until: Option<Timestamp>,
    /// Docker's event filters.
    pub filters: Filters,
}

impl Bus {
    pub(crate) fn new() -> Self {
        Self {
            past: Mutex::default(),
            live: broadcast::channel(1024).0,
        }
    }

    /// Tells everybody that `action` happened to the thing `id` of `kind`.
    pub(crate) fn publish(
        &self,
        kind: &str,
        action: &str,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let now = Timestamp::now();
        let message = Message {
            status: None,
            id: None,
            from: None,
            kind: kind.to_owned(),
            action: action.to_owned(),
            actor: Actor {
                id: id.to_owned(),
                attributes,
            },
            scope: "local".to_owned(),
            time: now.seconds(),
            time_nano: now.nanoseconds(),
        };
        let mut past = lock(&self.past);
        if past.len() == HISTORY {
            past.pop_front();
        }
        past.push_back(message.clone());
        // Under the lock, so that a new listener sees each event exactly once. No listener is no error.
        let _ = self.live.send(message);
    }

    /// How many clients listen.
    pub(crate) fn listeners(&self) -> usize {
        self.live.receiver_count()
    }

    /// Past and coming events that fit; the channel closes when `until` has come or the listener is gone.
    pub(crate) fn subscribe(&self, options: EventsOptions) -> mpsc::Receiver<Message> {
        let (send, receive) = mpsc::channel(64);
        let (past, mut live) = {
            let past = lock(&self.past);
            let kept = past
                .iter()
                .filter(|m| wanted_from_past(m, &options))
                .cloned();
            (kept.collect::<Vec<_>>(), self.live.subscribe())
        };
        tokio::spawn(async move {
            for message in past {
                if send.send(message).await.is_err() {
                    return;
                }
            }
            let end = deadline(options.until.as_ref());
            tokio::pin!(end);
            loop {
                let message = tokio::select! {
                    () = &mut end => return,
                    () = send.closed() => return,
                    message = live.recv() => message,
                };
                let Ok(message) = message else { return };
                if matches(&message, &options.filters) && send.send(message).await.is_err() {
                    return;
                }
            }
        });
        receive
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Ready at `until`; never without one.
async fn deadline(until: Option<&Timestamp>) {
    match until {
        None => std::future::pending().await,
        Some(until) => {
            let left = until
                .nanoseconds()
                .saturating_sub(Timestamp::now().nanoseconds());
            let left = u64::try_from(left).unwrap_or(0);
            tokio::time::sleep(std::time::Duration::from_nanos(left)).await;
        }
    }
}

/// dockerd replays the past only to those who name a time.
fn wanted_from_past(message: &Message, options: &EventsOptions) -> bool {
    let after = match (&options.since, &options.until) {
        (Some(since), _) => message.time_nano >= since.nanoseconds(),
        (None, Some(_)) => true,
        (None, None) => false,
    };
    let before = options
        .until
        .as_ref()
        .is_none_or(|until| message.time_nano <= until.nanoseconds());
    after && before && matches(message, &options.filters)
}

/// Docker's event filters: each key must match, each by one of its values; labels by all of them.
fn matches(message: &Message, filters: &Filters) -> bool {
    let named = |values: &[&str], wanted: &str| values.contains(&wanted);
    let attributes = &message.actor.attributes;
    let label = |name: &str| attributes.get(name).map(String::as_str);
    filters.labels("label", label)
        && filters
            .0
            .iter()
            .filter(|(key, _)| *key != "label")
            .all(|(key, values)| {
                values.iter().any(|value| {
                    let value = value.as_str();
                    let attribute = |name: &str| {
                        message
                            .actor
                            .attributes
                            .get(name)
                            .map_or("", String::as_str)
                    };
                    match key.as_str() {
                        "type" => message.kind == value,
                        "event" => {
                            // `exec_start: sh -c ..` is asked for as `exec_start`.
                            message.action == value
                                || message
                                    .action
                                    .split_once(':')
                                    .is_some_and(|(action, _)| action == value)
                        }
                        "scope" => message.scope == value,
                        "image" => {
                            let name = if message.kind == "image" {
                                "name"
                            } else {
                                "image"
                            };
                            named(&[&message.actor.id, attribute(name)], value)
                                || attribute(name).split(':').next() == Some(value)
                        }
                        "daemon" | "container" | "network" | "volume" | "plugin" | "node"
                        | "secret" | "config" | "service" => {
                            message.kind == *key
                                && (named(&[&message.actor.id, attribute("name")], value)
                                    || (value.len() >= 4 && message.actor.id.starts_with(value)))
                        }
                        _ => false,
                    }
                })
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bus: &Bus, action: &str, id: &str) {
        let attributes = [
            ("name", "web"),
            ("image", "busybox:latest"),
            ("tier", "front"),
        ];
        let attributes = attributes.map(|(k, v)| (k.to_owned(), v.to_owned()));
        bus.publish("container", action, id, attributes.into());
    }

    fn filters(json: &str) -> Filters {
        Filters::from_json(json).expect("filters parse")
    }

    #[tokio::test]
    async fn past_then_live_each_once() {
        let bus = Bus::new();
        event(&bus, "create", "a1");
        let since = Some(Timestamp::ZERO);
        let mut events = bus.subscribe(EventsOptions {
            since,
            ..Default::default()
        });
        event(&bus, "start", "a1");
        assert_eq!(events.recv().await.expect("past").action, "create");
        assert_eq!(events.recv().await.expect("live").action, "start");
    }

    #[tokio::test]
    async fn until_in_the_past_ends_the_stream() {
        let bus = Bus::new();
        event(&bus, "create", "a1");
        let until = Some(Timestamp::now());
        let mut events = bus.subscribe(EventsOptions {
            until,
            ..Default::default()
        });
        assert_eq!(events.recv().await.expect("past").action, "create");
        assert!(events.recv().await.is_none());
    }

    #[test]
    fn filters_match_as_dockers() {
        let bus = Bus::new();
        event(&bus, "exec_start: sh -c true", "abcdef");
        let message = lock(&bus.past)[0].clone();
        for (json, expected) in [
            (r#"{"type":["container"]}"#, true),
            (r#"{"type":["image"]}"#, false),
            (r#"{"event":["exec_start"]}"#, true),
            (r#"{"event":["exec"]}"#, false),
            (r#"{"container":["web"]}"#, true),
            (r#"{"container":["abcd"]}"#, true),
            (r#"{"container":["other"]}"#, false),
            (r#"{"image":["busybox"]}"#, true),
            (r#"{"label":["tier=front"]}"#, true),
            (r#"{"label":["tier=back"]}"#, false),
            (r#"{"label":["tier=front","tier=back"]}"#, false),
            (r#"{"label":["tier","name=web"]}"#, true),
            (r#"{"label":["tier"],"type":["container"]}"#, true),
            (r#"{"network":["web"]}"#, false),
        ] {
            assert_eq!(matches(&message, &filters(json)), expected, "{json}");
        }
    }
}
