//! The words of v1 in the numbers of v2, as runc and crun convert them: tools that read the files expect the same.

use crate::{Error, Result};

/// CPU shares (2 to 262144, usually 1024) to a CPU weight (1 to 10000, usually 100). 0 stays 0: "not set".
///
/// A curve through the three points that matter, lowest, usual and highest, so that 1024 shares are a weight of 100;
/// the straight line of older runtimes made them 39.
#[must_use]
pub fn cpu_weight(shares: u64) -> u64 {
    match shares {
        0 => 0,
        1 | 2 => 1,
        262_144.. => 10_000,
        _ => {
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            let weight = 10_f64.powf(exponent);
            // 1024 must not become 101 because of the last bit of a float.
            (weight - 1e-9).ceil() as u64
        }
    }
}

/// Block weight (10 to 1000) to an io weight (1 to 10000). 0 stays 0: "not set".
#[must_use]
pub fn io_weight(weight: u16) -> u64 {
    match weight {
        0 => 0,
        _ => 1 + (u64::from(weight).saturating_sub(10)) * 9999 / 990,
    }
}

/// Memory *and* swap to swap alone. 0 is "not set", -1 is "no limit".
///
/// # Errors
/// `InvalidLimit` when swap is limited and memory is not, or less than memory is asked for both.
pub fn swap_alone(memory_and_swap: i64, memory: i64) -> Result<i64> {
    let refuse = |text: &str| Err(Error::InvalidLimit(text.to_owned()));
    match (memory_and_swap, memory) {
        // v1 lifts both limits at once; so must we.
        (0, -1) => Ok(-1),
        (-1 | 0, _) => Ok(memory_and_swap),
        (_, ..=0) => refuse("unable to set swap limit without memory limit"),
        (both, _) if both < 0 => refuse("invalid memory+swap limit"),
        (both, memory) if both < memory => refuse("memory+swap limit should be >= memory limit"),
        (both, memory) => Ok(both - memory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_meet_the_three_points_and_rise() {
        let table = [
            (0, 0),
            (2, 1),
            (1024, 100),
            (262_144, 10_000),
            (u64::MAX, 10_000),
            (512, 59),
            (2048, 174),
        ];
        for (shares, weight) in table {
            assert_eq!(cpu_weight(shares), weight, "{shares} shares");
        }
        let mut last = 0;
        for shares in 2..=262_144 {
            let weight = cpu_weight(shares);
            assert!(weight >= last && (1..=10_000).contains(&weight));
            last = weight;
        }
    }

    #[test]
    fn io_weight_spans_the_range() {
        assert_eq!([0, 10, 500, 1000].map(io_weight), [0, 1, 4950, 10_000]);
    }

    #[test]
    fn swap_is_what_is_beyond_memory() {
        assert_eq!(swap_alone(0, 0).ok(), Some(0));
        assert_eq!(swap_alone(-1, 64).ok(), Some(-1));
        assert_eq!(swap_alone(0, -1).ok(), Some(-1));
        assert_eq!(swap_alone(96, 64).ok(), Some(32));
        assert_eq!(swap_alone(64, 64).ok(), Some(0));
        for (both, memory) in [(32, 64), (64, 0), (64, -1), (-2, 64)] {
            assert!(swap_alone(both, memory).is_err(), "{both} {memory}");
        }
    }
}
