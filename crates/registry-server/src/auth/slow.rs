//! Wrong passwords slow down whoever sends them.
//!
//! After a few wrong ones for a user from an address, further tries are turned away unseen for a time that doubles with
//! each. Others, and the same user from elsewhere, do not notice.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong ones that cost nothing: clients try twice, people mistype.
const FREE: u32 = 5;
/// The longest a wrong password keeps others away.
const LONGEST: Duration = Duration::from_secs(60);
/// How many are remembered; the oldest are forgotten.
const REMEMBERED: usize = 4096;

/// Wrong passwords of late.
#[derive(Debug, Default)]
pub(crate) struct Slow {
    wrong: Mutex<HashMap<(Option<IpAddr>, String), Wrong>>,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    count: u32,
    last: Instant,
}

impl Wrong {
    fn until(self) -> Instant {
        let over = self.count.saturating_sub(FREE);
        let pause = match over {
            0 => Duration::ZERO,
            n => Duration::from_secs(1 << (n - 1).min(6)).min(LONGEST),
        };
        self.last + pause
    }
}

impl Slow {
    /// How long this user from this address has to wait; nothing when not at all.
    pub(crate) fn wait(&self, from: Option<IpAddr>, user: &str, now: Instant) -> Option<Duration> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let until = wrong.get(&(from, user.to_owned()))?.until();
        until
            .checked_duration_since(now)
            .filter(|pause| !pause.is_zero())
    }

    /// Notes whether the password was right.
    pub(crate) fn note(&self, from: Option<IpAddr>, user: &str, right: bool, now: Instant) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (from, user.to_owned());
        if right {
            wrong.remove(&key);
            return;
        }
        if wrong.len() >= REMEMBERED && !wrong.contains_key(&key) {
            wrong.retain(|_, wrong| now.saturating_duration_since(wrong.last) < 2 * LONGEST);
            if wrong.len() >= REMEMBERED {
                let oldest = wrong.iter().min_by_key(|(_, wrong)| wrong.last);
                if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                    wrong.remove(&oldest);
                }
            }
        }
        let entry = wrong.entry(key).or_insert(Wrong {
            count: 0,
            last: now,
        });
        // Who has been quiet for long begins anew.
        if now.saturating_duration_since(entry.last) > 10 * LONGEST {
            entry.count = 0;
        }
        entry.count += 1;
        entry.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_one_takes_longer_and_a_right_one_ends_it() {
        let slow = Slow::default();
        let here = Some(IpAddr::from([192, 0, 2, 1]));
        let there = Some(IpAddr::from([192, 0, 2, 2]));
        let now = Instant::now();
        for _ in 0..FREE {
            assert_eq!(slow.wait(here, "a", now), None);
            slow.note(here, "a", false, now);
        }
        for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            slow.note(here, "a", false, now);
            assert_eq!(slow.wait(here, "a", now), Some(Duration::from_secs(pause)));
            assert_eq!(slow.wait(here, "a", now + Duration::from_secs(pause)), None);
        }
        assert_eq!(slow.wait(there, "a", now), None);
        assert_eq!(slow.wait(here, "b", now), None);
        slow.note(here, "a", true, now);
        assert_eq!(slow.wait(here, "a", now), None);
    }

    #[test]
    fn memory_is_bounded() {
        let slow = Slow::default();
        let now = Instant::now();
        for n in 0..2 * REMEMBERED {
            slow.note(None, &n.to_string(), false, now);
        }
        assert!(slow.wrong.lock().unwrap().len() <= REMEMBERED);
    }
}
