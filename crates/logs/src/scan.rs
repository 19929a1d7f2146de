//! Looking for bytes, many at a time: loops without a way out in the middle, which the compiler turns into vectors.

const CHUNK: usize = 32;

/// Where the first `byte` is.
pub(crate) fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    let found = first(bytes, |other| other == byte);
    (found < bytes.len()).then_some(found)
}

/// How many bytes are before the first that fits; all of them where none does.
pub(crate) fn first(bytes: &[u8], fits: impl Fn(u8) -> bool + Copy) -> usize {
    let mut at = 0;
    for chunk in bytes.chunks_exact(CHUNK) {
        if chunk.iter().fold(false, |any, byte| any | fits(*byte)) {
            break;
        }
        at += CHUNK;
    }
    let rest = bytes[at..].iter().position(|byte| fits(*byte));
    rest.map_or(bytes.len(), |found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wherever_it_is() {
        for length in 0..100 {
            let mut bytes = vec![b'x'; length];
            assert_eq!(find(&bytes, b'y'), None);
            for at in (0..length).rev() {
                bytes[at] = b'y';
                assert_eq!(find(&bytes, b'y'), Some(at), "{length}");
            }
        }
    }
}
