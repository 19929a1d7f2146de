//! The progress of a build step by step, as our own daemon tells it, in the looks of BuildKit.
//!
//! What is shown is text for standard error; nobody here writes it. Times are those since the build began, so that tests
//! can say them.

mod plain; // lines
mod raw; // a JSON document a line
mod tree; // what runs, redrawn in place

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use onggi_api::stream::Message;
use serde::{Deserialize, Serialize};

pub(super) use plain::Plain;
pub(super) use raw::Raw;
pub(super) use tree::Tree;

/// What the daemon calls its messages about steps.
const STEPS: &str = "onggi.build.v1";
/// Lines of its output a failed step is told with.
const LAST: usize = 10;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Event {
    /// A step, as it is now.
    Vertex(Vertex),
    /// Output of a step.
    Log(Log),
    /// How far a step is, in a few words that replace those before.
    Status { n: u64, text: String },
    /// What is wrong and no reason to fail; of no step where there is none of this number.
    Warning { n: u64, text: String },
}

/// A step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Vertex {
    pub(super) n: u64,
    pub(super) name: String,
    pub(super) started: Option<Timestamp>,
    pub(super) completed: Option<Timestamp>,
    pub(super) cached: bool,
    pub(super) error: String,
}

/// A piece of output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    pub(super) n: u64,
    /// 1 for standard output, 2 for standard error.
    pub(super) stream: u8,
    pub(super) data: String,
}

impl Event {
    /// The event a message tells of.
    pub(super) fn read(message: &Message) -> Option<Event> {
        if message.id != STEPS {
            return None;
        }
        Event::deserialize(message.aux.as_ref()?).ok()
    }
}

/// How a build ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Good,
    Failed,
    Cancelled,
}

/// How it is shown.
pub(super) enum Display {
    Plain(Plain),
    Tree(Tree),
    Raw(Raw),
}

impl Display {
    /// What to write for an event.
    pub(super) fn event(&mut self, event: Event, at: Duration) -> String {
        match self {
            Display::Plain(plain) => plain.event(event, at),
            Display::Raw(raw) => raw.event(&event),
            Display::Tree(tree) => {
                tree.event(event, at);
                String::new()
            }
        }
    }

    /// What to write when time went by.
    pub(super) fn tick(&mut self, at: Duration) -> String {
        match self {
            Display::Plain(_) | Display::Raw(_) => String::new(),
            Display::Tree(tree) => tree.frame(at, None),
        }
    }

    /// What to write when it is over: what is left, and the output of the step that failed.
    pub(super) fn end(&mut self, at: Duration, end: End) -> String {
        match self {
            Display::Plain(plain) => plain.end(),
            Display::Raw(_) => String::new(),
            Display::Tree(tree) => tree.frame(at, Some(end)) + &tree.steps.last_words(),
        }
    }
}

/// A step as it is shown.
#[derive(Debug, Default)]
struct Step {
    vertex: Vertex,
    /// When its start was told.
    since: Option<Duration>,
    status: String,
    /// The beginning of a line whose end did not come yet.
    partial: String,
    /// Its last lines, each with its time.
    last: VecDeque<String>,
}

impl Step {
    fn is_running(&self) -> bool {
        self.vertex.started.is_some() && self.vertex.completed.is_none()
    }

    /// Ended because another failed.
    fn is_cancelled(&self) -> bool {
        self.vertex.error.ends_with("context canceled")
    }

    /// Seconds it took, or takes so far.
    fn seconds(&self, at: Duration) -> Option<f64> {
        let started = self.vertex.started?;
        match self.vertex.completed {
            Some(completed) => Some(completed.duration_since(started).as_secs_f64().max(0.0)),
            None => Some(at.saturating_sub(self.since?).as_secs_f64()),
        }
    }
}

/// All steps, in the order they were told.
#[derive(Debug, Default)]
struct Steps {
    all: Vec<Step>,
    places: HashMap<u64, usize>,
    warnings: Vec<String>,
}

impl Steps {
    /// The place of a step; a new one at the end.
    fn place(&mut self, n: u64) -> usize {
        let next = self.all.len();
        let place = *self.places.entry(n).or_insert(next);
        if place == next {
            self.all.push(Step::default());
        }
        place
    }

    /// Takes up what a step is now.
    fn update(&mut self, mut vertex: Vertex, at: Duration) -> usize {
        let place = self.place(vertex.n);
        let step = &mut self.all[place];
        // The end is told without the beginning; what came from the cache never began.
        vertex.started = vertex.started.or(step.vertex.started).or(vertex.completed);
        if vertex.started.is_some() {
            step.since.get_or_insert(at);
        }
        step.vertex = vertex;
        place
    }

    /// Cuts output into lines, each with the seconds since its step began; gives those that are whole.
    fn lines(&mut self, log: &Log, at: Duration) -> (usize, Vec<String>) {
        let place = self.place(log.n);
        let step = &mut self.all[place];
        let seconds = at.saturating_sub(step.since.unwrap_or(at)).as_secs_f64();
        let text = std::mem::take(&mut step.partial) + &log.data;
        let mut lines = Vec::new();
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => lines.push(timed(seconds, line)),
                None => step.partial = line.to_owned(),
            }
        }
        step.remember(&lines);
        (place, lines)
    }

    /// The beginning of a line that will have no end.
    fn rest(&mut self, place: usize, at: Duration) -> Option<String> {
        let step = &mut self.all[place];
        let text = std::mem::take(&mut step.partial);
        if text.is_empty() {
            return None;
        }
        let seconds = at.saturating_sub(step.since.unwrap_or(at)).as_secs_f64();
        let line = timed(seconds, &text);
        step.remember(std::slice::from_ref(&line));
        Some(line)
    }

    /// What is told at the end: the output of the steps that failed, and what was warned of.
    fn last_words(&self) -> String {
        let mut text = self.failures();
        match self.warnings.len() {
            0 => return text,
            1 => text.push_str("\n 1 warning found:\n"),
            count => text.push_str(&format!("\n {count} warnings found:\n")),
        }
        for warning in &self.warnings {
            text.push_str(&format!(" - {warning}\n"));
        }
        text
    }

    /// The output of the steps that failed.
    fn failures(&self) -> String {
        let mut text = String::new();
        let is_failed = |step: &&Step| !step.vertex.error.is_empty() && !step.is_cancelled();
        for step in self.all.iter().filter(is_failed) {
            let rule = "------";
            text.push_str(&format!("{rule}\n > {}:\n", step.vertex.name));
            for line in &step.last {
                text.push_str(&format!("{line}\n"));
            }
            text.push_str(&format!("{rule}\n"));
        }
        text
    }
}

impl Step {
    fn remember(&mut self, lines: &[String]) {
        self.last.extend(lines.iter().cloned());
        let over = self.last.len().saturating_sub(LAST);
        self.last.drain(..over);
    }
}

/// `0.123 text`: the longer it takes the fewer decimals.
fn timed(seconds: f64, line: &str) -> String {
    let decimals = match seconds {
        s if s < 10.0 => 3,
        s if s < 100.0 => 2,
        _ => 1,
    };
    // What overwrites itself is shown as it looks at the end.
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or(line);
    format!("{seconds:.decimals$} {line}")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
