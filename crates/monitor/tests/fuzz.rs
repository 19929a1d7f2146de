//! What daemon and monitor say, bent by chance: in whatever pieces it comes, it is the same messages or the same error.

use onggi_monitor::protocol::{Decoder, FromMonitor, Message, ToMonitor};
use onggi_testkit::Fuzz;

/// Cuts an input in pieces; the input itself says where.
fn pieces(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    let mut size = input.len() % 7 + 1;
    std::iter::from_fn(move || {
        let (piece, next) = rest.split_at_checked(size.min(rest.len()))?;
        rest = next;
        size = usize::from(piece.first().copied()? % 13) + 1;
        Some(piece)
    })
}

#[test]
fn fuzz_words_of_daemon_and_monitor() {
    let encode = |json: &str, kind: u8| -> Vec<u8> {
        let mut bytes = (json.len() as u32).to_le_bytes().to_vec();
        bytes.extend([kind, 0, 0, 0]);
        bytes.extend(json.bytes());
        bytes
    };
    let texts = SAID
        .iter()
        .flat_map(|json| [encode(json, 1), encode(json, 2)]);
    let mut seeds: Vec<Vec<u8>> = texts.collect();
    seeds.push(seeds.concat());
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    let fuzz = Fuzz {
        seeds: &seeds,
        words: &[
            "{\"", "\":", "null", "[", "]", "}", "\u{1}", "\u{2}", "true",
        ],
    };
    fuzz.run(|input| {
        assert_eq!(
            said::<ToMonitor>(std::iter::once(input)),
            said::<ToMonitor>(pieces(input))
        );
        assert_eq!(
            said::<FromMonitor>(std::iter::once(input)),
            said::<FromMonitor>(pieces(input))
        );
    });
}

/// Messages of both directions.
const SAID: &[&str] = &[
    r#"{"Control":{"version":1}}"#,
    r#"{"Attach":{"stdin":true,"stdout":true,"stderr":false}}"#,
    r#"{"Exec":{"id":"e1","process":{"args":["sh"],"cwd":"/","user":{"uid":0,"gid":0}},"user":null,"stdin":false,
        "stdout":true,"stderr":true,"console_size":[24,80],"detach":false}}"#,
    r#""Start""#,
    r#"{"Signal":{"signal":15}}"#,
    r#"{"Resize":{"rows":24,"cols":80}}"#,
    r#""CloseStdin""#,
    r#""Acknowledge""#,
    r#"{"Resolve":{"view":{"networks":[{"name":"net","id":"1f","table":"/run/names/1f","links":[]}],"servers":["10.0.0.1"],
        "ipv6":false,"forwards":true,"keeps_single":false}}}"#,
    r#"{"State":{"version":1,"phase":"Running","pid":7,"started_at":"2026-01-02T03:04:05Z","exit":null,"failure":null,
        "execs":[]}}"#,
    r#"{"Created":{"pid":7}}"#,
    r#"{"Failed":{"kind":"NotFound","message":"exec: \"x\": not found"}}"#,
    r#""Attached""#,
    r#"{"ExecExited":{"id":"e1","code":137}}"#,
    r#"{"Warning":{"message":"no space left"}}"#,
];

/// The messages that come out, and the error at the end.
fn said<'a, M>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Option<String>)
where
    M: Message + std::fmt::Debug,
{
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next::<M>() {
                Ok(Some((message, _))) => messages.push(format!("{message:?}")),
                Ok(None) => break,
                Err(error) => return (messages, Some(error.to_string())),
            }
        }
    }
    (messages, None)
}
