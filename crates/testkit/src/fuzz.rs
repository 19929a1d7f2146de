//! Inputs nobody thought of: seeds, bent by chance, and what holds for all of them.
//!
//! The short tier tries the seeds and a few hundred fixed variations. `ONGGI_FUZZ_SECONDS` makes it go on for so long
//! with other ones each time; `ONGGI_FUZZ_SEED` begins where a failure was. A failure tells its seed and a shorter
//! input that fails as well, as Rust writes it, to be pasted into a test.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Variations in the short tier.
const FEW: u64 = 400;
/// Tries to find a shorter input that fails.
const SHRINKING: u32 = 400;

/// A target: its seeds, and the words that its inputs are made of.
#[derive(Clone, Copy, Debug)]
pub struct Fuzz<'a> {
    /// What to bend.
    pub seeds: &'a [&'a [u8]],
    /// Put in here and there.
    pub words: &'a [&'a str],
}

impl Fuzz<'_> {
    /// Runs `check` on input after input.
    ///
    /// # Panics
    /// When `check` panics, with the seed and the input that made it.
    pub fn run(&self, check: impl Fn(&[u8])) {
        self.run_bent(|_, input| input, check);
    }

    /// As [`Fuzz::run`], with each bent input put right again where the format would reject it for something dull, as
    /// a checksum.
    ///
    /// # Panics
    /// As [`Fuzz::run`].
    pub fn run_bent(&self, mend: impl Fn(&mut StdRng, Vec<u8>) -> Vec<u8>, check: impl Fn(&[u8])) {
        for seed in self.seeds {
            self.judge(&check, seed, "a seed");
        }
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let seconds: Option<u64> = number("ONGGI_FUZZ_SECONDS");
        let given = number("ONGGI_FUZZ_SEED");
        let first = given.unwrap_or(if seconds.is_some() { rand::random() } else { 0 });
        let end = Instant::now() + Duration::from_secs(seconds.unwrap_or_default());
        let mut tried = 0;
        while tried < FEW || (seconds.is_some() && Instant::now() < end) {
            let seed = first.wrapping_add(tried);
            let mut rng = StdRng::seed_from_u64(seed);
            let input = self.bend(&mut rng);
            let input = mend(&mut rng, input);
            self.judge(&check, &input, &format!("ONGGI_FUZZ_SEED={seed}"));
            tried += 1;
        }
    }

    fn judge(&self, check: &impl Fn(&[u8]), input: &[u8], origin: &str) {
        let fails = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| check(input))).is_err();
        if !fails(input) {
            return;
        }
        // Without pieces it does not need.
        let shortest = RefCell::new(input.to_vec());
        let mut tries = SHRINKING;
        let mut size = input.len().div_ceil(2);
        while size > 0 && tries > 0 {
            let mut at = 0;
            while at < shortest.borrow().len() && tries > 0 {
                let mut less = shortest.borrow().clone();
                less.drain(at..(at + size).min(less.len()));
                tries -= 1;
                if fails(&less) {
                    shortest.replace(less);
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        let shortest = shortest.into_inner();
        panic!("{origin} fails; so does b\"{}\"", shortest.escape_ascii());
    }

    /// A seed with a few changes.
    fn bend(&self, rng: &mut StdRng) -> Vec<u8> {
        let pick = |rng: &mut StdRng| self.seeds.choose(rng).copied().unwrap_or_default();
        let mut input = pick(rng).to_vec();
        for _ in 0..rng.random_range(1..8) {
            let at = rng.random_range(0..=input.len());
            let end = (at + rng.random_range(0..32)).min(input.len());
            match rng.random_range(0..9) {
                0 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
                1 if at < input.len() => input[at] = rng.random(),
                2 => drop(input.drain(at..end)),
                3 => {
                    let piece = input[at..end].to_vec();
                    let times = rng.random_range(1..9);
                    input.splice(at..at, piece.repeat(times));
                }
                4 => {
                    let other = pick(rng);
                    let from = rng.random_range(0..=other.len());
                    let to = (from + rng.random_range(0..256)).min(other.len());
                    drop(input.splice(at..end, other[from..to].iter().copied()));
                }
                5 => {
                    const NUMBERS: &[&str] = &[
                        "0",
                        "-1",
                        "1",
                        "255",
                        "65536",
                        "2147483648",
                        "4294967295",
                        "1e9",
                        "9223372036854775807",
                        "-9223372036854775808",
                        "18446744073709551616",
                        "0x7f",
                        "1.5",
                    ];
                    let number = NUMBERS.choose(rng).copied().unwrap_or_default();
                    drop(input.splice(at..end, number.bytes()));
                }
                6 if at < input.len() => {
                    // What counts and measures is often in bytes of its own.
                    const EDGES: &[u8] = &[0, 1, 0x7f, 0x80, 0xff];
                    let edge = EDGES.choose(rng).copied().unwrap_or_default();
                    let last = (at + rng.random_range(1..9)).min(input.len());
                    input[at..last].fill(edge);
                }
                7 => {
                    const CHARACTERS: &[&str] =
                        &["\0", "\n", "\u{fffd}", "é", "한", "\u{202e}", "\\", "\""];
                    let character = CHARACTERS.choose(rng).copied().unwrap_or_default();
                    drop(input.splice(at..at, character.bytes()));
                }
                _ => {
                    let word = self.words.choose(rng).copied().unwrap_or_default();
                    drop(input.splice(at..at, word.bytes()));
                }
            }
        }
        input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_found_and_made_short() {
        let fuzz = Fuzz {
            seeds: &[b"a long text that is harmless in itself"],
            words: &["boom"],
        };
        let found = catch_unwind(|| {
            fuzz.run(|input| assert!(!input.windows(4).any(|four| four == b"boom")));
        });
        let text = *found
            .expect_err("found")
            .downcast::<String>()
            .expect("a text");
        assert!(text.starts_with("ONGGI_FUZZ_SEED="), "{text}");
        assert!(text.ends_with("so does b\"boom\""), "{text}");
    }
}
