//! Builds, and what is seen of them.

use super::*;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The event in a line of the daemon's.
fn read(line: &str) -> Event {
    let aux = serde_json::from_str(line).expect("JSON");
    let message = Message {
        id: STEPS.to_owned(),
        aux: Some(aux),
        ..Message::default()
    };
    Event::read(&message).expect("an event")
}

fn started(n: u64, name: &str) -> Event {
    read(&format!(
        r#"{{"vertex":{{"n":{n},"name":"{name}","started":"2026-01-01T00:00:00Z"}}}}"#
    ))
}

/// As the daemon ends a step, `tenths` of a second after it began.
fn completed(n: u64, name: &str, tenths: u8, more: &str) -> Event {
    read(&format!(
        r#"{{"vertex":{{"n":{n},"name":"{name}","completed":"2026-01-01T00:00:00.{tenths}Z"{more}}}}}"#
    ))
}

fn log(n: u64, data: &str) -> Event {
    Event::Log(Log {
        n,
        stream: 1,
        data: data.to_owned(),
    })
}

/// A build that fails: two steps side by side, one cached, one whose output has no end of line.
fn failing() -> Vec<(u64, Event)> {
    vec![
        (0, started(9, "[internal] load build context")),
        (
            5,
            Event::Status {
                n: 9,
                text: "transferring context: 2.3kB".to_owned(),
            },
        ),
        (10, completed(9, "[internal] load build context", 1, "")),
        (
            20,
            completed(1, "[a 1/2] FROM base", 0, r#","cached":true"#),
        ),
        (30, started(2, "[a 2/2] RUN make")),
        (31, started(3, "[b 1/1] RUN test")),
        (40, log(2, "one\ntw")),
        (50, log(3, "other\n")),
        (60, log(2, "o\n")),
        (400, completed(2, "[a 2/2] RUN make", 4, "")),
        (500, log(3, "50%\r100%\r\nlast words")),
        (
            600,
            completed(3, "[b 1/1] RUN test", 6, r#","error":"exit code: 3""#),
        ),
    ]
}

fn shown(display: &mut Display, events: Vec<(u64, Event)>) -> String {
    let mut out = String::new();
    for (at, event) in events {
        out.push_str(&display.event(event, ms(at)));
    }
    out
}

#[test]
fn lines_are_buildkits() {
    let mut display = Display::Plain(Plain::new());
    let text = shown(&mut display, failing()) + &display.end(ms(700), End::Failed);
    assert_eq!(
        text,
        "#1 [internal] load build context
#1 transferring context: 2.3kB
#1 DONE 0.1s

#2 [a 1/2] FROM base
#2 CACHED

#3 [a 2/2] RUN make
#3 0.010 one
#3 0.030 two
#3 DONE 0.4s

#4 [b 1/1] RUN test
#4 0.019 other
#4 0.469 100%
#4 0.569 last words
#4 ERROR: exit code: 3
------
 > [b 1/1] RUN test:
0.019 other
0.469 100%
0.569 last words
------
"
    );
}

#[test]
fn another_step_has_the_word_when_one_is_silent() {
    let mut display = Display::Plain(Plain::new());
    let events = vec![
        (0, started(1, "a")),
        (10, started(2, "b")),
        (20, log(2, "waits\n")),
        (30, log(1, "speaks\n")),
        (1500, log(2, "now\n")),
        (2000, log(1, "again\n")),
        (2600, completed(2, "b", 9, "")),
        (2700, completed(1, "a", 9, r#","error":"context canceled""#)),
    ];
    let text = shown(&mut display, events) + &display.end(ms(3000), End::Failed);
    assert_eq!(
        text,
        "#1 a
#1 0.030 speaks
#1 ...

#2 b
#2 0.010 waits
#2 1.490 now
#2 DONE 0.9s

#1 a
#1 2.000 again
#1 CANCELED
"
    );
}

#[test]
fn what_is_left_is_shown_at_the_end() {
    let mut display = Display::Plain(Plain::new());
    let long = "x".repeat(80);
    let text = shown(
        &mut display,
        vec![(0, started(1, &long)), (5, log(1, "no end"))],
    );
    let text = text + &display.end(ms(10), End::Failed);
    let cut = "x".repeat(72);
    assert_eq!(text, format!("#1 {cut}...\n#1 0.000 no end\n"));
}

#[test]
fn times_have_fewer_decimals_the_longer_they_are() {
    assert_eq!(timed(0.0, "a"), "0.000 a");
    assert_eq!(timed(9.9999, "a"), "10.000 a");
    assert_eq!(timed(12.345, "a"), "12.35 a");
    assert_eq!(timed(123.45, "a"), "123.5 a");
}

#[test]
fn documents_are_those_of_buildx() {
    let mut display = Display::Raw(Raw::default());
    let events = vec![
        (0, started(1, "a")),
        (1, log(1, "hi\n")),
        (2, completed(1, "a", 5, r#","cached":true,"error":"no""#)),
    ];
    let digest = "sha256:8c0f7ac1";
    let text = shown(&mut display, events);
    let documents: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let vertex = &documents[0]["vertexes"][0];
    let key = vertex["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(key.len(), digest.len() + 56);
    assert_eq!(
        documents,
        [
            serde_json::json!({"vertexes": [{"digest": key, "name": "a", "started": "2026-01-01T00:00:00Z"}]}),
            serde_json::json!({"logs": [{"vertex": key, "stream": 1, "data": "aGkK"}]}),
            serde_json::json!({"vertexes": [{"digest": key, "name": "a", "started": "2026-01-01T00:00:00Z",
                "completed": "2026-01-01T00:00:00.5Z", "cached": true, "error": "no"}]}),
        ]
    );
}

/// A terminal as far as frames use it: rows of letters, a cursor, a scrolled top.
struct Screen {
    rows: Vec<String>,
    row: usize,
}

impl Screen {
    fn take(&mut self, frame: &str) {
        let mut rest = frame;
        while let Some(c) = rest.chars().next() {
            if let Some(code) = rest.strip_prefix("\u{1b}[") {
                let end = code
                    .find(|c: char| c.is_ascii_alphabetic())
                    .expect("a code");
                let number = code[..end].parse::<usize>().unwrap_or(1);
                match &code[end..=end] {
                    "A" => self.row = self.row.checked_sub(number).expect("a row"),
                    "K" => {}
                    "J" => self.rows.truncate(self.row),
                    other => panic!("{other}"),
                }
                rest = &code[end + 1..];
                continue;
            }
            if self.rows.len() <= self.row {
                self.rows.resize(self.row + 1, String::new());
            }
            match c {
                '\r' => self.rows[self.row].clear(),
                '\n' => {
                    self.row += 1;
                    if let Some(row) = self.rows.get_mut(self.row) {
                        row.clear();
                    }
                }
                c => self.rows[self.row].push(c),
            }
            rest = &rest[c.len_utf8()..];
        }
    }

    fn text(&self) -> String {
        let rows = self.rows.iter().map(|row| row.trim_end());
        rows.collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn the_tree_is_redrawn_in_place() {
    let mut display = Display::Tree(Tree::new(|| Some((12, 40))));
    let mut screen = Screen {
        rows: Vec::new(),
        row: 0,
    };
    let mut seen = Vec::new();
    for (at, event) in failing() {
        assert_eq!(display.event(event, ms(at)), "");
        let frame = display.tick(ms(at));
        // Nothing is hidden, so that nothing needs to be shown again.
        assert!(!frame.contains('?'), "{frame:?}");
        screen.take(&frame);
        seen.push(screen.text());
    }
    assert_eq!(
        seen[1],
        "[+] Building 0.0s (0/1)
 => [internal] load build context   0.0s
 => => transferring context: 2.3kB"
    );
    assert_eq!(
        seen[10],
        "[+] Building 0.5s (3/4)
 => [internal] load build context   0.1s
 => => transferring context: 2.3kB
 => CACHED [a 1/2] FROM base        0.0s
 => [a 2/2] RUN make                0.4s
 => [b 1/1] RUN test                0.5s
 => => # 0.019 other
 => => # 0.469 100%"
    );
    screen.take(&display.end(ms(700), End::Failed));
    assert_eq!(
        screen.text(),
        "[+] Building 0.7s (4/4) ERROR
 => [internal] load build context   0.1s
 => CACHED [a 1/2] FROM base        0.0s
 => [a 2/2] RUN make                0.4s
 => ERROR [b 1/1] RUN test          0.6s
------
 > [b 1/1] RUN test:
0.019 other
0.469 100%
0.569 last words
------"
    );
}

#[test]
fn the_tree_fits_the_terminal() {
    let mut tree = Tree::new(|| Some((6, 20)));
    for n in 1..=9 {
        tree.event(completed(n, &format!("done {n}"), 1, ""), ms(n));
    }
    tree.event(started(10, "a name that is too long for this"), ms(10));
    tree.event(
        log(10, "\u{1b}[31mred\u{1b}[0m\tand more than fits in a line\n"),
        ms(11),
    );
    let frame = tree.frame(ms(100), None);
    let rows: Vec<&str> = frame.trim_start_matches('\r').split("\u{1b}[K\n").collect();
    assert_eq!(
        rows,
        [
            "[+] Building 0.1s (9",
            " => done 7      0.0s",
            " => done 8      0.0s",
            " => done 9      0.0s",
            " => a name that 0.1s",
            "\u{1b}[J"
        ]
    );
    // Half as wide: what was drawn takes two rows a line, as far as there are rows.
    tree.size = || Some((30, 10));
    let frame = tree.frame(ms(100), None);
    assert!(frame.starts_with("\u{1b}[10A\r"), "{frame:?}");
    assert!(frame.contains(" => => # 0\u{1b}[K"), "{frame:?}");
}

#[test]
fn warnings_are_told_where_they_are_and_at_the_end() {
    let warning =
        |n: u64, text: &str| read(&format!(r#"{{"warning":{{"n":{n},"text":"{text}"}}}}"#));
    let events = || {
        [
            warning(0, "of all"),
            started(1, "[1/1] RUN x"),
            warning(1, "of one"),
            completed(1, "[1/1] RUN x", 1, ""),
        ]
    };
    let mut plain = Display::Plain(Plain::new());
    let mut text = String::new();
    for event in events() {
        text += &plain.event(event, ms(0));
    }
    text += &plain.end(ms(100), End::Good);
    let end = "\n 2 warnings found:\n - of all\n - of one\n";
    assert_eq!(
        text,
        format!("#1 [1/1] RUN x\n#1 WARN: of one\n#1 DONE 0.1s\n{end}")
    );
    let mut tree = Display::Tree(Tree::new(|| None));
    for event in events() {
        tree.event(event, ms(0));
    }
    assert!(tree.end(ms(100), End::Good).ends_with(end));
    let mut raw = Display::Raw(Raw::default());
    assert_eq!(
        raw.event(warning(0, "x"), ms(0)),
        "{\"warnings\":[{\"vertex\":\"\",\"level\":1,\"short\":\"eA==\"}]}\n"
    );
}
