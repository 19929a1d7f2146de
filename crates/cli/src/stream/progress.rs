//! Messages of pull, load and import: bars that move on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use onggi_api::stream::{Message, Progress};
use onggi_client::Values;
use onggi_model::units::human_size;

use crate::error::{Error, Result};

/// Where messages are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Lines that move, on a terminal of this width.
    Terminal(usize),
    /// One line a message; bars are left out.
    Plain,
    /// Nothing but errors.
    Nothing,
}

impl Show {
    /// How to show messages on a descriptor.
    pub(crate) fn on(fd: impl rustix::fd::AsFd) -> Self {
        if !rustix::termios::isatty(&fd) {
            return Show::Plain;
        }
        let width = rustix::termios::tcgetwinsize(&fd).map_or(0, |size| usize::from(size.ws_col));
        Show::Terminal(if width == 0 { 200 } else { width })
    }
}

/// Shows all messages of a stream; an error among them ends it.
pub(crate) async fn show(
    values: &mut Values,
    show: Show,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let mut screen = Screen::new(show);
    while let Some(message) = values.next::<Message>().await? {
        let text = screen.render(&message)?;
        if !text.is_empty() {
            out.write_all(text.as_bytes())
                .and_then(|()| out.flush())
                .map_err(|error| crate::cli::pipe(&error))?;
        }
    }
    Ok(())
}

/// The lines on the terminal, by the id each belongs to.
pub(crate) struct Screen {
    show: Show,
    lines: HashMap<String, usize>,
}

impl Screen {
    pub(crate) fn new(show: Show) -> Self {
        Screen {
            show,
            lines: HashMap::new(),
        }
    }

    /// What to write for a message.
    pub(crate) fn render(&mut self, message: &Message) -> Result<String> {
        if message.aux.is_some() {
            return Ok(String::new());
        }
        let width = match self.show {
            Show::Terminal(width) => Some(width),
            Show::Plain | Show::Nothing => None,
        };
        let mut out = String::new();
        let mut up = 0;
        if !message.id.is_empty() && message.progress.is_some() {
            let known = self.lines.len();
            let line = *self.lines.entry(message.id.clone()).or_insert(known);
            if line == known && width.is_some() {
                out.push('\n');
            }
            up = self.lines.len() - line;
            if width.is_some() && up > 0 {
                let _ = write!(out, "\u{1b}[{up}A");
            }
        } else {
            // A line of its own ends the block of lines above.
            self.lines.clear();
        }
        if let Some(error) = &message.error {
            return Err(Error::new(error.message.clone()));
        }
        self.line(message, width, &mut out);
        if !message.id.is_empty() && width.is_some() && up > 0 {
            let _ = write!(out, "\u{1b}[{up}B");
        }
        if self.show == Show::Nothing {
            Ok(String::new())
        } else {
            Ok(out)
        }
    }

    fn line(&self, message: &Message, width: Option<usize>, out: &mut String) {
        let mut end = "";
        match (&message.progress, width) {
            (Some(_), Some(_)) if message.stream.is_empty() => {
                end = "\r";
                out.push_str("\u{1b}[2K\r");
            }
            (Some(progress), _) if !bar(progress, 200).is_empty() => return,
            _ => {}
        }
        if !message.id.is_empty() {
            let _ = write!(out, "{}: ", message.id);
        }
        match (&message.progress, width) {
            (Some(progress), Some(width)) => {
                let _ = write!(out, "{} {}{end}", message.status, bar(progress, width));
            }
            _ if !message.stream.is_empty() => {
                let _ = write!(out, "{}{end}", message.stream);
            }
            _ => {
                let _ = writeln!(out, "{}{end}", message.status);
            }
        }
    }
}

/// The bar, the numbers and the time left, as far as the width allows.
fn bar(progress: &Progress, width: usize) -> String {
    let Progress {
        current,
        total,
        start,
        ..
    } = *progress;
    let units = progress.units.as_str();
    if current <= 0 && total <= 0 {
        return String::new();
    }
    let alone = match units {
        "" => format!("{:>8}", human_size(current as f64)),
        units => format!("{current} {units}"),
    };
    if total <= 0 {
        return alone;
    }
    let half = ((current as f64 / total as f64 * 100.0) as usize / 2).min(50);
    let mut out = String::new();
    if width > 110 {
        let _ = write!(out, "[{}>{}] ", "=".repeat(half), " ".repeat(50 - half));
    }
    if !progress.hide_counts {
        match units {
            _ if current > total => out.push_str(&alone),
            "" => {
                let _ = write!(out, "{alone}/{}", human_size(total as f64));
            }
            units => {
                let _ = write!(out, "{current}/{total} {units}");
            }
        }
    }
    if current > 0 && start > 0 && half < 50 && width > 50 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let spent = now.saturating_sub(start.unsigned_abs());
        let left = (spent as f64 / current as f64 * (total - current) as f64) as u64;
        let _ = write!(out, " {}", clock(Duration::from_secs(left)));
    }
    out
}

/// Whole seconds as Go writes them: `1h2m3s`.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull() -> Vec<Message> {
        let begun = Progress::default();
        let layer = |status: &str, progress: Progress| Message {
            progress: Some(progress),
            ..Message::status("abc", status)
        };
        vec![
            Message::status("latest", "Pulling from library/busybox"),
            layer("Pulling fs layer", begun.clone()),
            Message {
                progress: Some(begun.clone()),
                ..Message::status("def", "Pulling fs layer")
            },
            layer(
                "Downloading",
                Progress {
                    current: 50,
                    total: 100,
                    ..Progress::default()
                },
            ),
            layer("Pull complete", begun),
            Message::status("", "Digest: sha256:1"),
        ]
    }

    #[test]
    fn plain_output_has_no_bars() {
        let mut screen = Screen::new(Show::Plain);
        let text: String = pull().iter().map(|m| screen.render(m).unwrap()).collect();
        assert_eq!(
            text,
            "latest: Pulling from library/busybox\nabc: Pulling fs layer\ndef: Pulling fs layer\nabc: Pull complete\nDigest: sha256:1\n"
        );
    }

    #[test]
    fn lines_move_on_a_terminal() {
        let mut screen = Screen::new(Show::Terminal(80));
        let text: Vec<String> = pull().iter().map(|m| screen.render(m).unwrap()).collect();
        assert_eq!(text[0], "latest: Pulling from library/busybox\n");
        assert_eq!(
            text[1],
            "\n\u{1b}[1A\u{1b}[2K\rabc: Pulling fs layer \r\u{1b}[1B"
        );
        assert_eq!(
            text[2],
            "\n\u{1b}[1A\u{1b}[2K\rdef: Pulling fs layer \r\u{1b}[1B"
        );
        assert_eq!(
            text[3],
            "\u{1b}[2A\u{1b}[2K\rabc: Downloading      50B/100B\r\u{1b}[2B"
        );
        assert_eq!(text[5], "Digest: sha256:1\n");
    }

    #[test]
    fn wide_terminals_get_a_bar() {
        let progress = Progress {
            current: 50,
            total: 100,
            ..Progress::default()
        };
        assert_eq!(
            bar(&progress, 120),
            format!("[{}>{}]      50B/100B", "=".repeat(25), " ".repeat(25))
        );
        assert_eq!(
            bar(
                &Progress {
                    current: 1500,
                    ..Progress::default()
                },
                80
            ),
            "   1.5kB"
        );
        let seconds = |total| Progress {
            current: 10,
            total,
            units: "s".to_owned(),
            ..Progress::default()
        };
        assert_eq!(bar(&seconds(0), 80), "10 s");
        assert_eq!(bar(&seconds(20), 80), "10/20 s");
        assert!(
            Screen::new(Show::Nothing)
                .render(&Message::failure("no"))
                .is_err()
        );
    }
}
