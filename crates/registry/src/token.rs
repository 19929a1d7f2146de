//! Access tokens of registries: where to ask for them, and those we hold until they expire.
//!
//! Kept true: a token is asked for once however many layers wait for it, and the credentials that buy it
//! go to the realm only.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onggi_model::Secret;
use tokio::sync::Mutex;

/// Docker's client id: token servers keep lists of those they know.
pub(crate) const CLIENT_ID: &str = "docker";

/// The most an answer of a token server may have.
pub(crate) const ANSWER_LIMIT: usize = 1 << 20;

/// Tokens live at least this long, whatever the server says (as in Docker's client).
const SHORTEST_LIFE: Duration = Duration::from_secs(60);

/// A token is no longer used when it is about to expire on the way.
const MARGIN: Duration = Duration::from_secs(5);

/// How many tokens are held at most.
const CAPACITY: usize = 1024;

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) realm: String,
    pub(crate) service: String,
    pub(crate) scope: String,
    pub(crate) who: [u8; 32],
}

/// A token and how long it lives.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) bearer: Secret<String>,
    pub(crate) expires: Instant,
}

impl Token {
    pub(crate) fn new(bearer: &str, lifetime: Option<u64>) -> Token {
        let lifetime = Duration::from_secs(lifetime.unwrap_or(60).min(24 * 60 * 60));
        Token {
            bearer: Secret::new(bearer.to_owned()),
            expires: Instant::now() + lifetime.max(SHORTEST_LIFE),
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        Instant::now() + MARGIN < self.expires
    }
}

/// One place for one token: whoever holds it fetches, the others wait for the result.
pub(crate) type Slot = Arc<Mutex<Option<Token>>>;

/// The tokens we hold.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    slots: std::sync::Mutex<HashMap<Key, Slot>>,
}

impl Tokens {
    pub(crate) fn slot(&self, key: &Key) -> Slot {
        let mut slots = self
            .slots
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if slots.len() >= CAPACITY && !slots.contains_key(key) {
            // Those in use right now are locked and stay.
            slots.retain(|_, slot| match slot.try_lock() {
                Ok(token) => token.as_ref().is_some_and(Token::is_alive),
                Err(_) => true,
            });
            if slots.len() >= CAPACITY {
                slots.clear();
            }
        }
        slots.entry(key.clone()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_die_and_the_cache_is_bounded() {
        assert!(Token::new("t", Some(0)).is_alive(), "at least a minute");
        let mut token = Token::new("t", None);
        token.expires = Instant::now() + Duration::from_secs(1);
        assert!(!token.is_alive());
        assert!(!format!("{:?}", Token::new("canary", None)).contains("canary"));
        let tokens = Tokens::default();
        for at in 0..3 * CAPACITY {
            let key = Key {
                realm: String::new(),
                service: String::new(),
                scope: at.to_string(),
                who: [0; 32],
            };
            tokens.slot(&key);
        }
        assert!(tokens.slots.lock().unwrap().len() <= CAPACITY);
    }
}
