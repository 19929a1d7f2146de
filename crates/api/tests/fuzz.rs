//! Frames of attached streams, bent by chance: in whatever pieces they come, they are the same bytes or the same error.

use onggi_api::stream::{Frames, Stream, frame};
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
fn fuzz_attached_streams() {
    let many: Vec<u8> = [
        frame(Stream::Stdout, b"hello\n"),
        frame(Stream::Stderr, b""),
        frame(Stream::Stderr, &[b'x'; 300]),
        frame(Stream::Stdout, b"end"),
    ]
    .concat();
    let fuzz = Fuzz {
        seeds: &[&many, &many[..20], b""],
        words: &["\u{1}\0\0\0\0\0\0\u{5}", "\u{2}\0\0\0"],
    };
    /// What came, a stream at a time, and how it ended.
    fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<(u8, u8)>, Option<String>) {
        let mut frames = Frames::new();
        let mut bytes = Vec::new();
        for piece in pieces {
            frames.push(piece);
            loop {
                match frames.next() {
                    Ok(Some((stream, piece))) => {
                        bytes.extend(piece.iter().map(|&byte| (stream.number(), byte)));
                    }
                    Ok(None) => break,
                    Err(error) => return (bytes, Some(error.to_string())),
                }
            }
        }
        (bytes, None)
    }
    fuzz.run(|input| assert_eq!(read(std::iter::once(input)), read(pieces(input))));
}
