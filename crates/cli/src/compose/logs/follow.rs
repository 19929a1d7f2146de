//! The streams of many containers as one: those that are there, and those that start later. What a container wrote
//! before it was started again is not told twice.

use std::collections::BTreeMap;

use bytes::Bytes;
use onggi_api::event::Message;
use onggi_api::stream::Stream;
use onggi_client::Client;
use onggi_client::container::Logs;
use onggi_client::system::Events;
use onggi_compose::{Container, State, labels};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::{containers, events};
use crate::error::{Error, Result};
use crate::stream::output::Demux;
use crate::times;

/// Pieces on their way to the screen.
const QUEUE: usize = 64;

/// Whose streams, and what of them.
#[derive(Clone, Debug)]
pub(crate) struct Follow {
    pub(crate) project: String,
    /// Only these; all without any.
    pub(crate) services: Vec<String>,
    /// Of these only what happens is told, not what they write.
    pub(crate) mute: Vec<String>,
    /// Only the container with this number; 0 for all.
    pub(crate) index: i64,
    pub(crate) logs: Logs,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum News {
    /// A container wrote something.
    Wrote {
        name: String,
        stream: Stream,
        bytes: Bytes,
    },
    /// A container writes no more, until it is started again.
    Silent { name: String },
    /// A container was started.
    Started { name: String },
    /// A container ended.
    Ended {
        name: String,
        service: String,
        code: i64,
    },
}

/// From the tasks that read.
enum Piece {
    News(News),
    Event(Box<Message>),
    /// The stream of this container is at its end, or failed.
    End(String, Result<()>),
    /// The daemon tells no more of what happens.
    Deaf(Result<()>),
}

/// The streams while they flow.
pub(crate) struct Flow {
    follow: Follow,
    client: Client,
    sender: mpsc::Sender<Piece>,
    receiver: mpsc::Receiver<Piece>,
    /// Containers whose streams are read, and whether they were started again meanwhile.
    reading: BTreeMap<String, Reading>,
    /// When containers ended the last time: what they wrote until then is told, or was never asked for.
    ended: BTreeMap<String, String>,
    events: JoinHandle<()>,
}

struct Reading {
    name: String,
    again: bool,
    task: JoinHandle<()>,
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.events.abort();
        for reading in self.reading.values() {
            reading.task.abort();
        }
    }
}

impl Follow {
    /// Begins to read the streams of these containers, and of those that start from now on.
    pub(crate) async fn start(self, client: &Client, found: Vec<Container>) -> Result<Flow> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut filters = events::of_project(&self.project);
        filters.add("type", "container");
        filters.add("event", "start");
        filters.add("event", "die");
        let wanted = Events {
            filters,
            ..Events::default()
        };
        let mut values = client.events(&wanted).await?;
        let to = sender.clone();
        let events = tokio::spawn(async move {
            loop {
                let piece = match values.next::<Message>().await {
                    Ok(Some(message)) => Piece::Event(Box::new(message)),
                    Ok(None) => Piece::Deaf(Ok(())),
                    Err(error) => Piece::Deaf(Err(error.into())),
                };
                let last = matches!(piece, Piece::Deaf(_));
                if to.send(piece).await.is_err() || last {
                    return;
                }
            }
        });
        let mut flow = Flow {
            follow: self,
            client: client.clone(),
            sender,
            receiver,
            reading: BTreeMap::new(),
            ended: BTreeMap::new(),
            events,
        };
        for container in onggi_compose::containers(client, &flow.follow.project).await? {
            let was = matches!(container.state, State::Exited | State::Dead);
            if was && flow.wants(&container.service, i64::from(container.number)) {
                flow.ended_before(&container.id).await?;
            }
        }
        for container in found {
            let name = containers::short_name(&container);
            flow.read(&container.id, name, Since::Said);
        }
        Ok(flow)
    }
}

/// From when on a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// As the user said.
    Said,
    /// Since it ended the last time.
    Restart,
}

impl Flow {
    /// What happens next; nothing when the daemon went away.
    pub(crate) async fn next(&mut self) -> Result<Option<News>> {
        loop {
            let Some(piece) = self.receiver.recv().await else {
                return Ok(None);
            };
            match piece {
                Piece::News(news) => return Ok(Some(news)),
                Piece::Event(message) => {
                    if let Some(news) = self.event(&message) {
                        return Ok(Some(news));
                    }
                }
                Piece::End(id, outcome) => {
                    let Some(ended) = self.reading.remove(&id) else {
                        continue;
                    };
                    outcome?;
                    if ended.again {
                        self.read(&id, ended.name.clone(), Since::Restart);
                    }
                    return Ok(Some(News::Silent { name: ended.name }));
                }
                Piece::Deaf(outcome) => {
                    outcome?;
                    return Ok(None);
                }
            }
        }
    }

    /// Is no stream read at the moment?
    pub(crate) fn is_idle(&self) -> bool {
        self.reading.is_empty()
    }

    /// Does any container run whose streams are wanted, or will it again?
    pub(crate) async fn any_runs(&self) -> Result<bool> {
        let found = onggi_compose::containers(&self.client, &self.follow.project).await?;
        Ok(found.iter().any(|container| {
            !container.oneoff
                && container.state.runs()
                && !self.follow.mute.contains(&container.service)
                && self.wants(&container.service, i64::from(container.number))
        }))
    }

    /// Notes when a container ended that does not run.
    async fn ended_before(&mut self, id: &str) -> Result<()> {
        let inspect = match self.client.container_inspect(id, false).await {
            Ok(inspect) => inspect,
            // It was removed meanwhile.
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let finished = inspect["State"]["FinishedAt"].as_str().unwrap_or_default();
        if !finished.is_empty() && !finished.starts_with("0001-") {
            let at = times::api(finished).map_err(Error::new)?;
            self.ended.insert(id.to_owned(), at);
        }
        Ok(())
    }

    fn wants(&self, service: &str, number: i64) -> bool {
        let services = &self.follow.services;
        (services.is_empty() || services.iter().any(|name| name == service))
            && (self.follow.index == 0 || self.follow.index == number)
    }

    fn event(&mut self, message: &Message) -> Option<News> {
        let attribute = |name: &str| {
            let attributes = &message.actor.attributes;
            attributes.get(name).map_or("", String::as_str)
        };
        let service = attribute(labels::SERVICE).to_owned();
        let number = attribute(labels::NUMBER).parse().unwrap_or_default();
        let oneoff = attribute(labels::ONEOFF).eq_ignore_ascii_case("true");
        if oneoff || !self.wants(&service, number) {
            return None;
        }
        let name = match number {
            0 => attribute("name").to_owned(),
            number => format!("{service}-{number}"),
        };
        let id = message.actor.id.clone();
        if message.action == "die" {
            let code = attribute("exitCode").parse().unwrap_or_default();
            let (seconds, rest) = (
                message.time_nano / 1_000_000_000,
                message.time_nano % 1_000_000_000,
            );
            self.ended.insert(id, format!("{seconds}.{rest:09}"));
            return Some(News::Ended {
                name,
                service,
                code,
            });
        }
        if self.follow.mute.contains(&service) {
            return Some(News::Started { name });
        }
        match self.reading.get_mut(&id) {
            Some(reading) => reading.again = true,
            None => self.read(&id, name.clone(), Since::Restart),
        }
        Some(News::Started { name })
    }

    fn read(&mut self, id: &str, name: String, since: Since) {
        let (client, sender) = (self.client.clone(), self.sender.clone());
        let mut logs = self.follow.logs.clone();
        if since == Since::Restart {
            logs.tail = "all".to_owned();
            logs.since = self.ended.get(id).cloned().unwrap_or_default();
        }
        let (own, called) = (id.to_owned(), name.clone());
        let task = tokio::spawn(async move {
            let outcome = stream(&client, &own, &called, &logs, &sender).await;
            // Nobody listens any more when this fails.
            let _ = sender.send(Piece::End(own, outcome)).await;
        });
        let reading = Reading {
            name,
            again: false,
            task,
        };
        self.reading.insert(id.to_owned(), reading);
    }
}

/// Reads the stream of one container to its end.
async fn stream(
    client: &Client,
    id: &str,
    name: &str,
    logs: &Logs,
    sender: &mpsc::Sender<Piece>,
) -> Result<()> {
    let gone = |error: &onggi_client::Error| matches!(error.status(), Some(404 | 409));
    let inspect = match client.container_inspect(id, false).await {
        Ok(inspect) => inspect,
        // It was removed meanwhile.
        Err(error) if gone(&error) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut demux = Demux::new(inspect["Config"]["Tty"] == true);
    let mut response = match client.container_logs(id, logs).await {
        Ok(response) => response,
        Err(error) if gone(&error) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    while let Some(chunk) = response.chunk().await? {
        for (stream, bytes) in demux.feed(&chunk)? {
            let name = name.to_owned();
            let news = News::Wrote {
                name,
                stream,
                bytes,
            };
            if sender.send(Piece::News(news)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
