//! How the commands of `compose` show what they do: `--progress`, `--ansi`.

use std::io::Write as _;
use std::time::Instant;

use serde_json::json;

use crate::Cli;
use crate::cli::is_terminal;
use crate::error::Result;

/// Whether control characters may be printed on standard output.
pub(super) fn colours(cli: &Cli) -> bool {
    match ansi(cli) {
        "never" => false,
        "always" => true,
        _ => is_terminal(std::io::stdout()),
    }
}

/// `--ansi`, or what the environment says instead.
fn ansi(cli: &Cli) -> &str {
    if cli.group.on("no-ansi") {
        return "never";
    }
    let said = |name: &str| cli.environment.get(name).map(String::as_str);
    match cli.group.one("ansi") {
        Some(given) => given,
        None if said("NO_COLOR").is_some_and(|text| !text.is_empty()) => "never",
        None => said("COMPOSE_ANSI").unwrap_or("auto"),
    }
}

/// How progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Lines that change, on a terminal of this many rows and columns.
    Terminal(usize, usize),
    /// A line for each change.
    Plain,
    /// A JSON object for each change.
    Json,
    /// Nothing.
    Quiet,
}

/// How progress is told, by `--progress`, the environment and what standard error is.
pub(super) fn mode(cli: &Cli) -> Mode {
    let said = cli.group.one("progress").filter(|text| !text.is_empty());
    let said = said.or_else(|| cli.environment.get("COMPOSE_PROGRESS").map(String::as_str));
    let terminal = || match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => {
            Mode::Terminal(usize::from(size.ws_row.max(4)), usize::from(size.ws_col))
        }
        _ => Mode::Terminal(24, 80),
    };
    match said {
        Some("tty") => terminal(),
        Some("plain") => Mode::Plain,
        Some("json") => Mode::Json,
        Some("quiet") => Mode::Quiet,
        _ => match is_terminal(std::io::stderr()) && ansi(cli) != "never" {
            true => terminal(),
            false => Mode::Plain,
        },
    }
}

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Something is being done to it.
    Working,
    /// It is as it shall be.
    Done,
    /// It is not, which stops nothing.
    Warning,
    /// It failed.
    Error,
}

/// One thing: `Container shop-web-1`.
#[derive(Debug)]
struct Line {
    id: String,
    text: String,
    standing: Standing,
    since: Instant,
    until: Option<Instant>,
}

/// What is being done to many things at once, on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    mode: Mode,
    /// `Running`, before the count.
    title: &'static str,
    lines: Vec<Line>,
    /// How many rows of the terminal are ours.
    drawn: usize,
    /// Somebody else has the terminal.
    hidden: bool,
}

impl Progress {
    pub(super) fn new(mode: Mode, title: &'static str) -> Self {
        Progress {
            mode,
            title,
            lines: Vec::new(),
            drawn: 0,
            hidden: false,
        }
    }

    /// A thing stands otherwise now.
    pub(super) fn tell(&mut self, id: &str, text: &str, standing: Standing) -> Result<()> {
        let ended = (standing != Standing::Working).then(Instant::now);
        match self.lines.iter_mut().find(|line| line.id == id) {
            Some(line) => {
                if line.text == text && line.standing == standing {
                    return Ok(());
                }
                text.clone_into(&mut line.text);
                line.standing = standing;
                line.until = ended;
            }
            None => self.lines.push(Line {
                id: id.to_owned(),
                text: text.to_owned(),
                standing,
                since: Instant::now(),
                until: ended,
            }),
        }
        match self.mode {
            Mode::Terminal(..) => self.draw(),
            Mode::Plain => write(&format!(" {id}  {text}\n")),
            Mode::Json => {
                let status = match standing {
                    Standing::Working => "Working",
                    Standing::Done => "Done",
                    Standing::Warning => "Warning",
                    Standing::Error => "Error",
                };
                let line = json!({"id": id, "text": text, "status": status});
                write(&format!("{line}\n"))
            }
            Mode::Quiet => Ok(()),
        }
    }

    /// Draws the lines again: time goes on.
    pub(super) fn draw(&mut self) -> Result<()> {
        if let Mode::Terminal(rows, columns) = self.mode
            && !self.hidden
            && !self.lines.is_empty()
        {
            let text = self.page(rows, columns);
            write(&text)?;
        }
        Ok(())
    }

    /// Takes what was drawn away; the next time it is drawn where the terminal is then.
    pub(super) fn clear(&mut self) -> Result<()> {
        if self.drawn > 0 {
            write(&format!("\x1b[{}A\r\x1b[J", self.drawn))?;
            self.drawn = 0;
        }
        Ok(())
    }

    /// Somebody else draws from now on, or no more: what was drawn stays where it is.
    pub(super) fn hide(&mut self, hidden: bool) {
        self.hidden = hidden;
        self.drawn = 0;
    }

    /// The lines over what was drawn last. Where there are more than fit, those that wait for something stay.
    fn page(&mut self, rows: usize, columns: usize) -> String {
        let mut out = String::new();
        if self.drawn > 0 {
            out.push_str(&format!("\x1b[{}A", self.drawn));
        }
        let done = |line: &&Line| line.standing != Standing::Working;
        let finished = self.lines.iter().filter(done).count();
        out.push_str(&format!(
            "\r\x1b[2K[+] {} {finished}/{}\n",
            self.title,
            self.lines.len()
        ));
        let room = rows.saturating_sub(2);
        let spare = self.lines.len().saturating_sub(room);
        let mut hidden = 0;
        let mut shown = 0;
        let width = self.lines.iter().map(|line| line.id.chars().count());
        let width = width.max().unwrap_or(0);
        for line in &self.lines {
            if hidden < spare && line.standing == Standing::Done {
                hidden += 1;
                continue;
            }
            if shown == room {
                break;
            }
            shown += 1;
            let (mark, colour) = match line.standing {
                Standing::Working => ("\u{2022}", "36"),
                Standing::Done => ("\u{2714}", "32"),
                Standing::Warning => ("!", "33"),
                Standing::Error => ("\u{2718}", "31"),
            };
            let time = line.until.unwrap_or_else(Instant::now) - line.since;
            let time = format!("{:.1}s", time.as_secs_f64());
            let id = &line.id;
            let body = format!("{id:<width$}  {}", line.text);
            let body: String = body
                .chars()
                .take(columns.saturating_sub(time.len() + 5))
                .collect();
            let gap = columns.saturating_sub(time.len() + 4 + body.chars().count());
            out.push_str(&format!(
                "\x1b[2K \x1b[{colour}m{mark}\x1b[0m {body}{}{time}\n",
                " ".repeat(gap)
            ));
        }
        // Rows of a larger page before.
        out.push_str("\x1b[J");
        self.drawn = shown + 1;
        out
    }
}

fn write(text: &str) -> Result<()> {
    let mut stderr = std::io::stderr().lock();
    stderr
        .write_all(text.as_bytes())
        .map_err(|error| crate::cli::pipe(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_what_waits_and_is_drawn_over() {
        let mut progress = Progress::new(Mode::Quiet, "Running");
        for (id, text, standing) in [
            ("Container a", "Started", Standing::Done),
            ("Container b", "Started", Standing::Done),
            ("Container long", "Starting", Standing::Working),
        ] {
            progress.tell(id, text, standing).unwrap();
        }
        let page = progress.page(24, 40);
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines[0], "\r\x1b[2K[+] Running 2/3");
        assert!(lines[1].contains("Container a     Started"), "{page:?}");
        assert!(lines[1].ends_with("0.0s"), "{page:?}");
        assert_eq!(
            lines[1].chars().count() - "\x1b[2K\x1b[32m\x1b[0m".len(),
            39
        );
        assert_eq!(lines.len(), 5);
        // In three rows there is room for the one that waits.
        let page = progress.page(3, 40);
        assert!(page.starts_with("\x1b[4A"), "{page:?}");
        assert!(page.contains("Container long  Starting") && !page.contains("Container a"));
    }
}
