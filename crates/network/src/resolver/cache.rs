//! What upstreams answered, for as long as they allow. Each container has its own: what one is told by servers of its
//! choice is nothing to another.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use onggi_dns::{Answer, Query};

/// Bytes of questions and answers.
const ROOM: usize = 256 << 10;
/// What an entry takes beside its bytes, about.
const OVERHEAD: usize = 256;
/// Nothing is kept longer, whatever its time to live.
const LONGEST: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Arc<[u8]>, Entry>,
    /// The oldest first.
    order: VecDeque<Arc<[u8]>>,
    size: usize,
}

#[derive(Debug)]
struct Entry {
    answer: Arc<Answer>,
    since: Instant,
    until: Instant,
}

/// What is the same for all who ask the same: all but their number and how they write the name.
pub(super) fn key(message: &[u8], query: &Query) -> Vec<u8> {
    let mut key = message.get(2..).unwrap_or_default().to_vec();
    let name = 10..10 + query.question().len().saturating_sub(4);
    if let Some(name) = key.get_mut(name) {
        name.make_ascii_lowercase();
    }
    key
}

impl Cache {
    /// An answer, and its age in seconds.
    pub(super) fn find(&self, key: &[u8], now: Instant) -> Option<(Arc<Answer>, u32)> {
        let entry = self.entries.get(key).filter(|entry| now < entry.until)?;
        let age = now.duration_since(entry.since).as_secs();
        Some((Arc::clone(&entry.answer), u32::try_from(age).ok()?))
    }

    pub(super) fn keep(&mut self, key: Vec<u8>, answer: Arc<Answer>, now: Instant) {
        let Some(lifetime) = answer.lifetime() else {
            return;
        };
        let size = size(&key, &answer);
        if size > ROOM / 4 {
            return;
        }
        let until = now + Duration::from_secs(lifetime.into()).min(LONGEST);
        let key: Arc<[u8]> = key.into();
        let entry = Entry {
            answer,
            since: now,
            until,
        };
        self.size += size;
        match self.entries.insert(Arc::clone(&key), entry) {
            Some(before) => self.size -= self::size(&key, &before.answer),
            None => self.order.push_back(key),
        }
        while self.size > ROOM
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(gone) = self.entries.remove(&oldest) {
                self.size -= self::size(&oldest, &gone.answer);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn size(key: &[u8], answer: &Answer) -> usize {
    key.len() + answer.bytes().len() + OVERHEAD
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn asked(name: &str) -> Vec<u8> {
        let mut bytes = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0".to_vec();
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b"\0\0\x41\0\x01"); // HTTPS, whose number is a large letter
        bytes
    }

    fn answer(asked: &[u8], ttl: u8, length: u8) -> Arc<Answer> {
        let mut bytes = asked.to_vec();
        bytes[2] |= 0x80;
        bytes[7] = 1;
        bytes.extend_from_slice(&[0xc0, 12, 0, 0x41, 0, 1, 0, 0, 0, ttl, 0, length]);
        bytes.extend(std::iter::repeat_n(7, length.into()));
        Arc::new(Answer::parse(bytes, asked).unwrap())
    }

    #[test]
    fn kept_for_as_long_as_allowed() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let (small, large) = (asked("name"), asked("NAME"));
        let key_of = |bytes: &[u8]| key(bytes, &Query::parse(bytes).unwrap());
        assert_eq!(key_of(&small), key_of(&large));
        assert_ne!(key_of(&small), key_of(&asked("nama")));
        cache.keep(key_of(&small), answer(&small, 10, 4), now);
        cache.keep(key_of(&asked("none")), answer(&asked("none"), 0, 4), now);
        assert!(cache.find(&key_of(&asked("none")), now).is_none());
        let later = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(cache.find(&key_of(&large), later(9)).unwrap().1, 9);
        assert!(cache.find(&key_of(&large), later(10)).is_none());
        cache.keep(key_of(&small), answer(&small, 30, 4), later(10));
        assert_eq!(cache.find(&key_of(&large), later(20)).unwrap().1, 10);
        assert_eq!((cache.entries.len(), cache.order.len()), (1, 1));
        cache.clear();
        assert_eq!(cache.size, 0);
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for number in 0..2000 {
            let asked = asked(&format!("name-{number}"));
            let key = key(&asked, &Query::parse(&asked).unwrap());
            cache.keep(key, answer(&asked, 60, 200), now);
            assert!(cache.size <= ROOM);
        }
        assert_eq!(cache.entries.len(), cache.order.len());
        assert!(cache.entries.len() > 300, "{}", cache.entries.len());
        let first = asked("name-0");
        assert!(
            cache
                .find(&key(&first, &Query::parse(&first).unwrap()), now)
                .is_none()
        );
    }
}
