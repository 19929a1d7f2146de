//! What a client is told of a build: the lines of Docker's builder, or the news of steps for those who draw them.

use std::collections::BTreeMap;

use bytes::Bytes;
use onggi_api::stream::Message;
use onggi_builder::{News, Plan};
use onggi_model::Timestamp;
use onggi_store::ChainId;
use serde_json::json;
use tokio::sync::mpsc;

use super::BuildOptions;

/// What the news of steps is known by.
const NEWS: &str = "onggi.build.v1";
/// As much of what a step writes waits for its turn; what comes after that is left out, and said to be.
const WAITING: usize = 4 << 20;

/// A line of output.
pub(super) fn line(text: impl Into<String>) -> Message {
    Message {
        stream: text.into(),
        ..Message::default()
    }
}

/// Tells a client, in the order of the instructions whatever runs beside each other.
pub(super) struct Teller<'a> {
    plan: &'a Plan,
    client: mpsc::Sender<Message>,
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
        options: &BuildOptions,
        client: mpsc::Sender<Message>,
    ) -> Self {
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
            client,
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
            match self.way {
                Way::Quiet => {}
                Way::Steps => self.tell_step(news).await,
                Way::Lines => self.tell_line(news).await,
            }
        }
    }

    async fn send(&self, message: Message) {
        // Whoever left ends the build elsewhere.
        let _ = self.client.send(message).await;
    }

    async fn tell_step(&self, news: News) {
        let now = Timestamp::now().to_string();
        let vertex = |step: usize| (step + 1, self.plan.steps[step].name.clone());
        let aux = match news {
            News::Started { step } => {
                let (number, name) = vertex(step);
                json!({ "vertex": { "n": number, "name": name, "started": now } })
            }
            News::Running { .. } => return,
            News::Output { step, stream, data } => {
                let data = String::from_utf8_lossy(&data);
                json!({ "log": { "n": step + 1, "stream": stream, "data": data } })
            }
            News::Done {
                step,
                cached,
                error,
                ..
            } => {
                let (number, name) = vertex(step);
                let mut vertex = json!({ "n": number, "name": name, "completed": now });
                if cached {
                    vertex["cached"] = true.into();
                }
                if let Some(error) = error {
                    vertex["error"] = error.into();
                }
                json!({ "vertex": vertex })
            }
        };
        self.send(Message {
            id: NEWS.to_owned(),
            aux: Some(aux),
            ..Message::default()
        })
        .await;
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
