//! Lines, each with the number of its step. Steps run side by side: the output of one is shown in one piece while it has
//! any, that of others waits for it to end or to fall silent.

use std::time::Duration;

use super::{Event, Step, Steps};

/// Letters of a step's name that are shown.
const NAME: usize = 72;
/// How long a step may be silent before another one has the word.
const SILENT: Duration = Duration::from_secs(1);

/// What is shown so far.
#[derive(Debug, Default)]
pub(in super::super) struct Plain {
    steps: Steps,
    /// Lines that wait, by the place of their step.
    waiting: Vec<Vec<String>>,
    /// Numbers by place; given when a step is first shown.
    numbers: Vec<Option<usize>>,
    ended: Vec<bool>,
    given: usize,
    /// The step that has the word, and since when it said nothing.
    current: Option<(usize, Duration)>,
    is_first: bool,
}

impl Plain {
    pub(in super::super) fn new() -> Self {
        Plain {
            is_first: true,
            ..Plain::default()
        }
    }

    /// What to write for an event.
    pub(super) fn event(&mut self, event: Event, at: Duration) -> String {
        let place = match event {
            Event::Vertex(vertex) => {
                let place = self.steps.update(vertex, at);
                if self.steps.all[place].vertex.completed.is_some()
                    && let Some(line) = self.steps.rest(place, at)
                {
                    self.wait(place, [line]);
                }
                place
            }
            Event::Log(log) => {
                let (place, lines) = self.steps.lines(&log, at);
                self.wait(place, lines);
                place
            }
            Event::Status { n, text } => {
                let place = self.steps.place(n);
                self.wait(place, [text]);
                place
            }
            Event::Warning { n, text } => {
                self.steps.warnings.push(text.clone());
                let Some(place) = self.steps.places.get(&n).copied() else {
                    return String::new();
                };
                self.wait(place, [format!("WARN: {text}")]);
                place
            }
        };
        self.wait(place, []);
        let mut out = String::new();
        let step = &self.steps.all[place];
        if step.vertex.completed.is_some() {
            if !self.ended[place] {
                self.show(place, at, &mut out);
                self.next(at, &mut out);
            }
        } else if step.is_running() {
            match self.current {
                Some((current, since)) if current != place && at.saturating_sub(since) < SILENT => {
                }
                _ => self.show(place, at, &mut out),
            }
        }
        out
    }

    /// What is left.
    pub(super) fn end(&mut self) -> String {
        let mut out = String::new();
        for place in 0..self.steps.all.len() {
            let rest = self.steps.rest(place, Duration::ZERO);
            self.wait(place, rest);
            if !self.waiting[place].is_empty() {
                self.show(place, Duration::ZERO, &mut out);
            }
        }
        out + &self.steps.last_words()
    }

    fn wait(&mut self, place: usize, lines: impl IntoIterator<Item = String>) {
        let count = self.steps.all.len();
        self.waiting.resize(count, Vec::new());
        self.numbers.resize(count, None);
        self.ended.resize(count, false);
        self.waiting[place].extend(lines);
    }

    /// Gives the word to the step, writes what waited, and how it ended.
    fn show(&mut self, place: usize, at: Duration, out: &mut String) {
        let number = *self.numbers[place].get_or_insert_with(|| {
            self.given += 1;
            self.given
        });
        let step = &self.steps.all[place];
        if self.current.is_none_or(|(current, _)| current != place) {
            if let Some((before, _)) = self.current {
                let before = self.numbers[before].unwrap_or_default();
                out.push_str(&format!("#{before} ...\n"));
            }
            if !std::mem::take(&mut self.is_first) {
                out.push('\n');
            }
            let name = limited(&step.vertex.name);
            out.push_str(&format!("#{number} {name}\n"));
        }
        for line in self.waiting[place].drain(..) {
            out.push_str(&format!("#{number} {line}\n"));
        }
        self.current = Some((place, at));
        if step.vertex.completed.is_some() {
            out.push_str(&format!("#{number} {}\n", ending(step)));
            self.current = None;
            self.ended[place] = true;
        }
    }

    /// Gives the word to a step that waits for it.
    fn next(&mut self, at: Duration, out: &mut String) {
        if self.current.is_some() {
            return;
        }
        let waits = |place: &usize| {
            self.steps.all[*place].is_running()
                && (!self.waiting[*place].is_empty() || self.numbers[*place].is_none())
        };
        if let Some(place) = (0..self.steps.all.len()).find(waits) {
            self.show(place, at, out);
        }
    }
}

fn ending(step: &Step) -> String {
    match &step.vertex {
        _ if step.is_cancelled() => "CANCELED".to_owned(),
        vertex if !vertex.error.is_empty() => format!("ERROR: {}", vertex.error),
        vertex if vertex.cached => "CACHED".to_owned(),
        _ => match step.seconds(Duration::ZERO) {
            Some(seconds) => format!("DONE {seconds:.1}s"),
            None => "DONE".to_owned(),
        },
    }
}

fn limited(name: &str) -> String {
    match name.char_indices().nth(NAME) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}
