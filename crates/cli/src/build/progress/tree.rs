//! What runs, with its seconds and last lines, redrawn in place on a terminal. A frame is one write: it goes up over the
//! frame before and writes over it, so that nothing flickers, and leaves the cursor below. No mode of the terminal is
//! changed, so that whoever is stopped leaves nothing behind.

use std::time::Duration;

use super::{End, Event, Step, Steps};

/// Lines of output below a step that runs.
const OUTPUT: usize = 6;
/// What a terminal has that does not say.
const USUAL: (usize, usize) = (24, 80);

/// Rows and columns, asked before each frame.
pub(in super::super) type Size = fn() -> Option<(u16, u16)>;

/// What is shown so far.
pub(in super::super) struct Tree {
    pub(super) steps: Steps,
    pub(super) size: Size,
    /// Letters of each line of the frame before.
    drawn: Vec<usize>,
}

impl Tree {
    pub(in super::super) fn new(size: Size) -> Self {
        Tree {
            steps: Steps::default(),
            size,
            drawn: Vec::new(),
        }
    }

    /// Takes an event up; it is seen in the next frame.
    pub(super) fn event(&mut self, event: Event, at: Duration) {
        match event {
            Event::Vertex(vertex) => {
                let is_over = vertex.completed.is_some();
                let place = self.steps.update(vertex, at);
                if is_over {
                    // It is remembered with the other lines.
                    let _ = self.steps.rest(place, at);
                }
            }
            Event::Log(log) => drop(self.steps.lines(&log, at)),
            Event::Status { n, text } => {
                let place = self.steps.place(n);
                self.steps.all[place].status = text;
            }
            Event::Warning { text, .. } => self.steps.warnings.push(text),
        }
    }

    /// The next frame, or the last one where the build ended.
    pub(super) fn frame(&mut self, at: Duration, end: Option<End>) -> String {
        let (rows, columns) = match (self.size)() {
            Some((rows, columns)) if rows > 1 && columns > 1 => (rows.into(), columns.into()),
            _ => USUAL,
        };
        let lines = self.lines(at, end, rows, columns);
        // Lines of before may take several rows, if the terminal became narrower.
        let up: usize = self
            .drawn
            .iter()
            .map(|letters| letters.div_ceil(columns).max(1))
            .sum();
        let mut out = String::new();
        if up > 0 {
            // No further than the terminal is high: what scrolled out is out of reach.
            out.push_str(&format!("\u{1b}[{}A", up.min(rows.saturating_sub(1))));
        }
        out.push('\r');
        for line in &lines {
            out.push_str(line);
            out.push_str("\u{1b}[K\n");
        }
        out.push_str("\u{1b}[J");
        self.drawn = lines.iter().map(|line| line.chars().count()).collect();
        out
    }

    fn lines(&self, at: Duration, end: Option<End>, rows: usize, columns: usize) -> Vec<String> {
        let all = &self.steps.all;
        let done = all
            .iter()
            .filter(|step| step.vertex.completed.is_some())
            .count();
        let is_last = end.is_some();
        let state = match end {
            None => "",
            Some(End::Good) => " FINISHED",
            Some(End::Failed) => " ERROR",
            Some(End::Cancelled) => " CANCELED",
        };
        let seconds = at.as_secs_f64();
        let head = format!("[+] Building {seconds:.1}s ({done}/{}){state}", all.len());
        let mut lines = vec![cut(&head, columns)];
        let room = rows.saturating_sub(2);
        let mut shown: Vec<&Step> = all
            .iter()
            .filter(|step| step.vertex.started.is_some())
            .collect();
        if !is_last && shown.len() > room {
            // What runs is seen first, then what ended last.
            let mut over = shown.len() - room;
            shown.retain(|step| {
                let goes = over > 0 && !step.is_running();
                over -= usize::from(goes);
                !goes
            });
            shown.truncate(room);
        }
        let mut left = room.saturating_sub(shown.len());
        for step in shown {
            lines.push(told(step, at, columns));
            if is_last {
                continue;
            }
            let mut below = Vec::new();
            if !step.status.is_empty() {
                below.push(format!(" => => {}", step.status));
            }
            if step.is_running() {
                let skip = step.last.len().saturating_sub(OUTPUT);
                let output = step.last.iter().skip(skip);
                below.extend(output.map(|line| format!(" => => # {}", visible(line))));
            }
            let skip = below.len().saturating_sub(left);
            for line in below.iter().skip(skip) {
                lines.push(cut(line, columns));
                left -= 1;
            }
        }
        lines
    }
}

/// ` => [2/3] RUN make      1.2s`.
fn told(step: &Step, at: Duration, columns: usize) -> String {
    let mark = match &step.vertex {
        _ if step.is_cancelled() => "CANCELED ",
        vertex if !vertex.error.is_empty() => "ERROR ",
        vertex if vertex.cached => "CACHED ",
        _ => "",
    };
    let time = format!("{:.1}s", step.seconds(at).unwrap_or(0.0));
    let room = columns.saturating_sub(time.len() + 1);
    let name = cut(&format!(" => {mark}{}", visible(&step.vertex.name)), room);
    format!("{name:room$} {time}")
}

/// Without what would move the cursor: escapes and other control characters.
fn visible(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '\u{1b}' if letters.next_if_eq(&'[').is_some() => {
                // Up to its last letter (ECMA-48, 5.4).
                let _ = letters.by_ref().find(|c| ('@'..='~').contains(c));
            }
            '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn cut(text: &str, columns: usize) -> String {
    text.chars().take(columns).collect()
}
