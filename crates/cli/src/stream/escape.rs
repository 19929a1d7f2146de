//! The keys that detach from a container: ctrl-p ctrl-q, or what the user chose.

/// Keys pressed one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys(Vec<u8>);

impl Keys {
    /// Reads `ctrl-a,b,...`; the empty text means the default.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Keys(vec![16, 17]));
        }
        let unknown = |key: &str| format!("Unknown character: '{key}'");
        text.split(',')
            .map(|key| match key.strip_prefix("ctrl-") {
                None if key.len() == 1 => Ok(key.as_bytes()[0]),
                None => Err(unknown(key)),
                Some(held) => match held.as_bytes() {
                    [c @ b'a'..=b'z'] => Ok(c - b'a' + 1),
                    [b'@'] => Ok(0),
                    [b'['] => Ok(27),
                    [b'\\'] => Ok(28),
                    [b']'] => Ok(29),
                    [b'^'] => Ok(30),
                    [b'_'] => Ok(31),
                    _ => Err(unknown(key)),
                },
            })
            .collect::<Result<_, _>>()
            .map(Keys)
    }
}

/// Watches input for the keys. The beginning of a match is held back until it is clear whether it is one.
#[derive(Debug)]
pub(crate) struct Watch {
    keys: Keys,
    matched: usize,
}

impl Watch {
    pub(crate) fn new(keys: Keys) -> Self {
        Watch { keys, matched: 0 }
    }

    /// Takes input; gives what may be passed on, and whether the keys were all pressed. As for Docker, a key that breaks a
    /// beginning does not begin another: the daemon looks for the keys too, and both would hold the second of two ctrl-p.
    pub(crate) fn feed(&mut self, input: &[u8]) -> (Vec<u8>, bool) {
        let mut pass = Vec::with_capacity(input.len());
        for &byte in input {
            if byte == self.keys.0[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.0.len() {
                    self.matched = 0;
                    return (pass, true);
                }
                continue;
            }
            pass.extend_from_slice(&self.keys.0[..self.matched]);
            pass.push(byte);
            self.matched = 0;
        }
        (pass, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_across_reads() {
        let mut watch = Watch::new(Keys::parse("").unwrap());
        assert_eq!(watch.feed(b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(watch.feed(b"c"), (b"\x10c".to_vec(), false));
        assert_eq!(watch.feed(b"\x10\x10"), (b"\x10\x10".to_vec(), false));
        assert_eq!(watch.feed(b"\x10"), (b"".to_vec(), false));
        assert_eq!(watch.feed(b"\x11rest"), (b"".to_vec(), true));
    }

    #[test]
    fn keys_are_read() {
        assert_eq!(
            Keys::parse("ctrl-a,b,ctrl-_").unwrap(),
            Keys(vec![1, b'b', 31])
        );
        assert_eq!(
            Keys::parse("ctrl-").unwrap_err(),
            "Unknown character: 'ctrl-'"
        );
        assert!(Keys::parse("ab").is_err());
    }
}
