//! What a client is told of a build: the lines of Docker's builder, or the news of steps for those who draw them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use onggi_api::stream::Message;
use onggi_builder::{News, Plan};
use onggi_model::Timestamp;
use onggi_store::ChainId;
use serde_json::json;
use tokio::sync::mpsc;

use super::Building;
use super::history::Recording;

/// What the news of steps is known by.
const NEWS: &str = "onggi.build.v1";
/// As much of what a step writes waits for its turn; what comes after that is left out, and said to be.
const WAITING: usize = 4 << 20;
/// The first number of what is done beside the steps: no build has so many of those.
pub(super) const ASIDE: u64 = 1 << 32;

/// A line of output.
pub(super) fn line(text: impl Into<String>) -> Message {
    Message {
        stream: text.into(),
        ..Message::default()
    }
}

/// What is done beside the steps, as those see it who are told of steps: a step of its own.
pub(super) struct Aside {
    client: Option<mpsc::Sender<Message>>,
    recording: Arc<Recording>,
    number: u64,
    name: String,
}

impl Aside {
    /// It begins.
    pub(super) async fn begin(
        building: &Building,
        client: &mpsc::Sender<Message>,
        name: impl Into<String>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(ASIDE);
        let options = &building.options;
        let aside = Self {
            client: (options.steps && !options.quiet).then(|| client.clone()),
            recording: building.recording.clone(),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
        };
        let now = Timestamp::now().to_string();
        let (number, name) = (aside.number, &aside.name);
        let vertex = json!({ "vertex": { "n": number, "name": name, "started": now } });
        aside.tell(vertex).await;
        aside
    }

    /// How far it is, or what came of it.
    pub(super) async fn status(&self, text: &str) {
        let status = json!({ "n": self.number, "text": text });
        self.tell(json!({ "status": status })).await;
    }

    /// What is wrong with it, and no reason to fail.
    pub(super) async fn warn(&self, text: &str) {
        self.tell(warning(self.number, text)).await;
    }

    /// It is over.
    pub(super) async fn end(self, error: Option<String>) {
        let now = Timestamp::now().to_string();
        let (number, name) = (self.number, &self.name);
        let mut vertex = json!({ "n": number, "name": name, "completed": now });
        if let Some(error) = error {
            vertex["error"] = error.into();
        }
        self.tell(json!({ "vertex": vertex })).await;
    }

    async fn tell(&self, aux: serde_json::Value) {
        self.recording.event(&aux);
        if let Some(client) = &self.client {
            let _ = client.send(message(aux)).await;
        }
    }
}

/// A warning, of this step or of the whole build.
fn warning(number: u64, text: &str) -> serde_json::Value {
    json!({ "warning": { "n": number, "text": text } })
}

impl Building {
    /// Warns of what is no reason to fail, each client in its own way.
    pub(super) async fn warn(
        &self,
        aside: Option<&Aside>,
        text: &str,
        client: &mpsc::Sender<Message>,
    ) {
        tracing::info!("{text}");
        match aside {
            Some(aside) => aside.warn(text).await,
            None => {
                let warning = warning(0, text);
                self.recording.event(&warning);
                if self.options.steps && !self.options.quiet {
                    let _ = client.send(message(warning)).await;
                }
            }
        }
        if !self.options.quiet && !self.options.steps {
            let _ = client.send(line(format!("[Warning] {text}\n"))).await;
        }
    }
}

pub(super) fn message(aux: serde_json::Value) -> Message {
    Message {
        id: NEWS.to_owned(),
        aux: Some(aux),
        ..Message::default()
    }
}

/// Tells a client, in the order of the instructions whatever runs beside each other.
pub(super) struct Teller<'a> {
    plan: &'a Plan,
    /// The number of the first step.
    first: usize,
    client: mpsc::Sender<Message>,
    recording: Arc<Recording>,
    way: Way,
    /// The step of each instruction that has one: its number among them.
    places: BTreeMap<usize, usize>,
    /// What is known of each step.
    steps: Vec<Told>,
    /// The instruction whose turn it is, and whether it was announced.
    turn: usize,
    announced: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Nothing is told.
    Quiet,
    /// Docker's lines.
    Lines,
    /// The news as it comes.
    Steps,
}

#[derive(Default)]
struct Told {
    waiting: Vec<String>,
    size: usize,
    /// Where it ran.
    container: Option<String>,
    done: bool,
    failed: bool,
    top: Option<ChainId>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        building: &Building,
        attempt: usize,
        client: mpsc::Sender<Message>,
    ) -> Self {
        let options = &building.options;
        let way = match (options.quiet, options.steps) {
            (true, _) => Way::Quiet,
            (false, true) => Way::Steps,
            (false, false) => Way::Lines,
        };
        let places = plan.instructions.iter().enumerate();
        let places = places
            .filter_map(|(at, told)| Some((told.step?, at)))
            .collect();
        Self {
            plan,
            // What is done once more is another step to those who look.
            first: attempt * plan.steps.len() + 1,
            client,
            recording: building.recording.clone(),
            way,
            places,
            steps: plan.steps.iter().map(|_| Told::default()).collect(),
            turn: 0,
            announced: false,
        }
    }

    /// Until all news has come.
    pub(super) async fn tell(mut self, mut news: mpsc::Receiver<News>) {
        if self.way == Way::Lines {
            self.go_on().await;
        }
        while let Some(news) = news.recv().await {
            let event = self.event(&news);
            if let Some(event) = &event {
                self.recording.event(event);
            }
            match (self.way, event) {
                (Way::Quiet, _) | (Way::Steps, None) => {}
                (Way::Steps, Some(event)) => self.send(message(event)).await,
                (Way::Lines, _) => self.tell_line(news).await,
            }
        }
    }

    async fn send(&self, message: Message) {
        // Whoever left ends the build elsewhere.
        let _ = self.client.send(message).await;
    }

    /// What those are told who are told of steps.
    fn event(&self, news: &News) -> Option<serde_json::Value> {
        let now = Timestamp::now().to_string();
        let vertex = |step: &usize| (step + self.first, self.plan.steps[*step].name.clone());
        Some(match news {
            News::Started { step } => {
                let (number, name) = vertex(step);
                json!({ "vertex": { "n": number, "name": name, "started": now } })
            }
            News::Running { .. } => return None,
            News::Output { step, stream, data } => {
                let data = String::from_utf8_lossy(data);
                json!({ "log": { "n": step + self.first, "stream": stream, "data": data } })
            }
            News::Done {
                step,
                cached,
                error,
                ..
            } => {
                let (number, name) = vertex(step);
                let mut vertex = json!({ "n": number, "name": name, "completed": now });
                if *cached {
                    vertex["cached"] = true.into();
                }
                if let Some(error) = error {
                    vertex["error"] = error.clone().into();
                }
                json!({ "vertex": vertex })
            }
        })
    }

    async fn tell_line(&mut self, news: News) {
        match news {
            News::Started { .. } => {}
            News::Running { step, container } => {
                let short: String = container.chars().take(12).collect();
                self.steps[step].container = Some(short.clone());
                self.say(step, format!(" ---> Running in {short}\n")).await;
            }
            News::Output { step, data, .. } => {
                let text = text_of(&data);
                self.say(step, text).await;
            }
            News::Done {
                step,
                cached,
                top,
                error,
            } => {
                if cached {
                    self.say(step, " ---> Using cache\n".to_owned()).await;
                }
                if let Some(container) = self.steps[step].container.take() {
                    let text = format!("Removing intermediate container {container}\n");
                    self.say(step, text).await;
                }
                let told = &mut self.steps[step];
                (told.done, told.failed, told.top) = (true, error.is_some(), top);
                self.go_on().await;
            }
        }
    }

    /// Says a line of a step now if it is its turn, else when it is.
    async fn say(&mut self, step: usize, text: String) {
        if self.places.get(&step) == Some(&self.turn) {
            return self.send(line(text)).await;
        }
        let told = &mut self.steps[step];
        if told.size >= WAITING {
            return;
        }
        told.size += text.len();
        told.waiting.push(text);
        if told.size >= WAITING {
            let left_out = "[output was left out: other steps came first]\n";
            told.waiting.push(left_out.to_owned());
        }
    }

    /// Goes through the instructions up to one that is not done.
    async fn go_on(&mut self) {
        let all = self.plan.instructions.len();
        while let Some(told) = self.plan.instructions.get(self.turn) {
            if !self.announced {
                self.announced = true;
                let text = format!("Step {}/{all} : {}\n", self.turn + 1, told.text);
                self.send(line(text)).await;
                if let Some(step) = told.step {
                    for text in std::mem::take(&mut self.steps[step].waiting) {
                        self.send(line(text)).await;
                    }
                }
            }
            if let Some(step) = told.step {
                let told = &self.steps[step];
                if !told.done || told.failed {
                    return;
                }
            }
            let top = told.files.and_then(|files| self.steps[files].top.as_ref());
            if let Some(top) = top {
                let short: String = top.as_digest().hex().chars().take(12).collect();
                self.send(line(format!(" ---> {short}\n"))).await;
            }
            self.turn += 1;
            self.announced = false;
        }
    }
}

fn text_of(data: &Bytes) -> String {
    String::from_utf8_lossy(data).into_owned()
}
