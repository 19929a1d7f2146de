//! Detach keys: the sequence of bytes that lets a terminal go without ending what runs in it.

use crate::error::{Error, Result};

/// ctrl-p ctrl-q.
const DEFAULT: [u8; 2] = [16, 17];

/// The sequence that detaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys(Vec<u8>);

impl Keys {
    /// Reads Docker's notation: comma-separated characters and `ctrl-X`; empty is the default.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self(DEFAULT.to_vec()));
        }
        text.split(',')
            .map(key)
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| Error::invalid(format!("Invalid detach keys ({text}) provided")))
    }
}

/// One key: a character, or `ctrl-` and one of a-z @ [ \ ] ^ _.
fn key(text: &str) -> Option<u8> {
    match text.as_bytes() {
        &[byte] => Some(byte),
        [b'c', b't', b'r', b'l', b'-', symbol] => match symbol {
            b'a'..=b'z' => Some(symbol - b'a' + 1),
            b'@' => Some(0),
            b'[' => Some(27),
            b'\\' => Some(28),
            b']' => Some(29),
            b'^' => Some(30),
            b'_' => Some(31),
            _ => None,
        },
        _ => None,
    }
}

/// Watches what a client types for the sequence.
pub(crate) struct Watch {
    keys: Vec<u8>,
    /// How many bytes of the sequence have been seen and are held back.
    held: usize,
}

/// What to do with typed bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Pass these on; a beginning of the sequence is held back until it is clear what it becomes.
    Pass(Vec<u8>),
    /// Pass these on, then detach.
    Detach(Vec<u8>),
}

impl Watch {
    pub(crate) fn new(keys: Keys) -> Self {
        Self {
            keys: keys.0,
            held: 0,
        }
    }

    /// Looks at the next bytes. As for Docker, a byte that breaks a beginning does not begin another: ctrl-p twice is two
    /// ctrl-p for the program, at once, whether a client looked for the keys before us or not.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Typed {
        let mut pass = Vec::with_capacity(bytes.len() + self.held);
        for &byte in bytes {
            if byte != self.keys[self.held] {
                pass.extend_from_slice(&self.keys[..self.held]);
                pass.push(byte);
                self.held = 0;
                continue;
            }
            self.held += 1;
            if self.held == self.keys.len() {
                self.held = 0;
                return Typed::Detach(pass);
            }
        }
        Typed::Pass(pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(keys: &str) -> Watch {
        Watch::new(Keys::parse(keys).expect("keys parse"))
    }

    #[test]
    fn notation() {
        assert_eq!(Keys::parse("").expect("default"), Keys(vec![16, 17]));
        assert_eq!(
            Keys::parse("ctrl-a,a,ctrl-@").expect("parses"),
            Keys(vec![1, b'a', 0])
        );
        for bad in ["ctrl-", "ctrl-A", "ab", "a,", "ctrl-1"] {
            let text = Keys::parse(bad).expect_err(bad).to_string();
            assert_eq!(text, format!("Invalid detach keys ({bad}) provided"));
        }
    }

    #[test]
    fn the_sequence_detaches_wherever_it_is_cut() {
        assert_eq!(
            watch("").push(b"ls\x10\x11rest"),
            Typed::Detach(b"ls".to_vec())
        );
        let mut cut = watch("");
        assert_eq!(cut.push(b"ls\x10"), Typed::Pass(b"ls".to_vec()));
        assert_eq!(cut.push(b"\x11"), Typed::Detach(vec![]));
    }

    #[test]
    fn what_only_began_like_it_is_passed_on() {
        let mut w = watch("");
        assert_eq!(w.push(b"\x10"), Typed::Pass(vec![]));
        assert_eq!(w.push(b"x"), Typed::Pass(b"\x10x".to_vec()));
        assert_eq!(w.push(b"\x10"), Typed::Pass(vec![]));
        assert_eq!(w.push(b"\x10"), Typed::Pass(b"\x10\x10".to_vec()));
        assert_eq!(w.push(b"\x11"), Typed::Pass(b"\x11".to_vec()));
        let mut w = watch("a,a,b");
        assert_eq!(w.push(b"aaab"), Typed::Pass(b"aaab".to_vec()));
    }
}
