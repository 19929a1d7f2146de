//! Users and the bcrypt hashes of their passwords, as `htpasswd -B` writes them.
//!
//! The file is read again when it changes. A password that was right is remembered as a keyed hash, because bcrypt is
//! slow on purpose and a push is hundreds of requests. A name nobody has takes as long as one with a wrong password.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::{constant_time, hmac};
use tokio::sync::Semaphore;

use crate::config::{ConfigError, wrong};

/// Passwords that are remembered.
const REMEMBERED: usize = 1024;

/// The users.
#[derive(Debug)]
pub(crate) struct Htpasswd {
    path: PathBuf,
    /// Whose hashes are made at a time: the rest of the registry needs processors as well.
    turns: Arc<Semaphore>,
    key: hmac::Key,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct Users {
    hashes: HashMap<String, String>,
    /// What a name that nobody has is compared with: as costly as the costliest of the others.
    nobody: String,
}

#[derive(Debug, Default)]
struct State {
    stamp: Option<(SystemTime, u64)>,
    users: Arc<Users>,
    right: HashMap<String, Vec<u8>>,
}

impl Htpasswd {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is not there, or has a line that is no user with a bcrypt hash.
    pub(crate) fn open(path: &Path) -> Result<Htpasswd, ConfigError> {
        let mut secret = [0; 32];
        let filled = aws_lc_rs::rand::fill(&mut secret);
        filled.map_err(|_| wrong("auth.htpasswd", "the machine has no randomness"))?;
        let turns = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .div_ceil(2);
        let htpasswd = Htpasswd {
            path: path.to_owned(),
            turns: Arc::new(Semaphore::new(turns)),
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            state: Mutex::default(),
        };
        let (users, stamp) = htpasswd.read()?;
        let mut state = htpasswd.state();
        (state.users, state.stamp) = (Arc::new(users), Some(stamp));
        drop(state);
        Ok(htpasswd)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Result<(Users, (SystemTime, u64)), ConfigError> {
        let fail = |source| ConfigError::File {
            path: self.path.clone(),
            source,
        };
        let stamp = stamp(&self.path).map_err(fail)?;
        let text = std::fs::read_to_string(&self.path).map_err(fail)?;
        Ok((parse(&text)?, stamp))
    }

    /// The users as the file has them now; those of before when it cannot be read.
    fn users(&self) -> Arc<Users> {
        let found = stamp(&self.path).ok();
        let known = self.state().stamp;
        if found.is_some() && found != known {
            match self.read() {
                Ok((users, stamp)) => {
                    let mut state = self.state();
                    state.users = Arc::new(users);
                    state.stamp = Some(stamp);
                    state.right.clear();
                }
                Err(error) => {
                    let error = onggi_model::chain(&error);
                    tracing::warn!(error, "the users of before stay");
                    self.state().stamp = found;
                }
            }
        }
        self.state().users.clone()
    }

    /// Whether this is the user's password.
    pub(crate) async fn verify(&self, user: &str, password: &str) -> bool {
        let users = self.users();
        let mark = self.mark(user, password);
        let known = self.state().right.get(user).cloned();
        if known.is_some_and(|right| constant_time::verify_slices_are_equal(&right, &mark).is_ok())
        {
            return true;
        }
        let hash = users.hashes.get(user).cloned();
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| users.nobody.clone());
        let Ok(_turn) = self.turns.clone().acquire_owned().await else {
            return false;
        };
        let password = password.to_owned();
        let work = move || bcrypt::verify(password, &hash).unwrap_or(false);
        let right = onggi_rt::blocking("bcrypt", work).await.unwrap_or(false) && exists;
        if right {
            let mut state = self.state();
            // Not if the file has changed meanwhile.
            if Arc::ptr_eq(&state.users, &users) {
                if state.right.len() >= REMEMBERED {
                    state.right.clear();
                }
                state.right.insert(user.to_owned(), mark);
            }
        }
        right
    }

    fn mark(&self, user: &str, password: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(user.len() as u64).to_le_bytes());
        context.update(user.as_bytes());
        context.update(password.as_bytes());
        context.sign().as_ref().to_vec()
    }
}

fn stamp(path: &Path) -> std::io::Result<(SystemTime, u64)> {
    let data = std::fs::metadata(path)?;
    Ok((data.modified()?, data.len()))
}

fn parse(text: &str) -> Result<Users, ConfigError> {
    let mut hashes = HashMap::new();
    let mut cost = 4;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refuse =
            |message: &str| wrong("auth.htpasswd", format!("line {}: {message}", number + 1));
        let (user, hash) = line
            .split_once(':')
            .ok_or_else(|| refuse("write USER:HASH"))?;
        if user.is_empty() {
            return Err(refuse("a user without a name"));
        }
        let Ok(parts) = hash.parse::<bcrypt::HashParts>() else {
            let message = "only bcrypt hashes are taken: make the line with \"onggi-registry htpasswd USER\" or \"htpasswd -B\"";
            return Err(refuse(message));
        };
        cost = cost.max(parts.get_cost());
        hashes.insert(user.to_owned(), hash.to_owned());
    }
    let nobody = format!("$2b${cost:02}${}", ".".repeat(53));
    Ok(Users { hashes, nobody })
}

/// A line of the file.
///
/// # Errors
/// The text for the user.
pub(crate) fn line(user: &str, password: &str) -> Result<String, String> {
    if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
        return Err(format!(
            "{user:?} cannot be a user: no colon, and not empty"
        ));
    }
    if password.is_empty() {
        return Err("the password is empty: write it to standard input".to_owned());
    }
    if password.len() > 72 {
        return Err("the password is longer than the 72 bytes that bcrypt looks at".to_owned());
    }
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| "no randomness".to_owned())?;
    let hash = bcrypt::hash_with_salt(password, bcrypt::DEFAULT_COST, salt);
    let hash = hash.map_err(|error| error.to_string())?;
    Ok(format!("{user}:{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cheap hash, for tests only.
    pub(crate) fn cheap(user: &str, password: &str) -> String {
        let hash = bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap();
        format!("{user}:{hash}\n")
    }

    #[tokio::test]
    async fn passwords_are_right_or_wrong_and_the_file_may_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("htpasswd");
        std::fs::write(
            &path,
            format!("# users\n\n{}{}", cheap("a", "one"), cheap("b", "two")),
        )
        .unwrap();
        let htpasswd = Htpasswd::open(&path).unwrap();
        for (user, password, right) in [
            ("a", "one", true),
            ("a", "one", true),
            ("a", "two", false),
            ("b", "two", true),
            ("b", "one", false),
            ("c", "one", false),
            ("", "", false),
            ("a", "", false),
        ] {
            assert_eq!(
                htpasswd.verify(user, password).await,
                right,
                "{user} {password}"
            );
        }
        std::fs::write(
            &path,
            format!(
                "{}# longer than before, so that it is seen within one tick\n",
                cheap("a", "three")
            ),
        )
        .unwrap();
        assert!(!htpasswd.verify("a", "one").await);
        assert!(htpasswd.verify("a", "three").await);
        assert!(!htpasswd.verify("b", "two").await);
        // A file that does not hold changes nothing.
        std::fs::write(&path, "a:plain\n").unwrap();
        assert!(htpasswd.verify("a", "three").await);
        std::fs::remove_file(&path).unwrap();
        assert!(htpasswd.verify("a", "three").await);
    }

    #[test]
    fn only_bcrypt() {
        for bad in ["a", ":x", "a:{SHA}x", "a:$apr1$x$y", "a:$2y$10$short"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let users = parse(&cheap("a", "b").replace("$2b$", "$2y$")).unwrap();
        let nobody = users.nobody.parse::<bcrypt::HashParts>().unwrap();
        assert_eq!((users.hashes.len(), nobody.get_cost()), (1, 4));
        assert!(
            line("a:b", "x").is_err()
                && line("a", "").is_err()
                && line("a", &"x".repeat(73)).is_err()
        );
    }
}
