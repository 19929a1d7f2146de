//! Signals by name and number, as Docker reads them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ErrorKind, Fault};

/// A text that names no signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid signal: {0}")]
pub struct SignalError(pub String);

impl Fault for SignalError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

/// A signal number of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

const NAMES: &[(&str, i32)] = &[
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
];

impl Signal {
    /// SIGHUP
    pub const HUP: Signal = Signal(1);
    /// SIGINT
    pub const INT: Signal = Signal(2);
    /// SIGKILL
    pub const KILL: Signal = Signal(9);
    /// SIGTERM
    pub const TERM: Signal = Signal(15);
    /// SIGCHLD
    pub const CHLD: Signal = Signal(17);
    /// SIGWINCH
    pub const WINCH: Signal = Signal(28);

    /// Reads `SIGTERM`, `TERM`, `sigterm`, `15`, `SIGRTMIN+3`.
    ///
    /// # Errors
    /// [`SignalError`] with Docker's text.
    pub fn parse(text: &str) -> Result<Self, SignalError> {
        let error = || SignalError(text.to_owned());
        if let Ok(number) = text.parse::<i32>() {
            return if (1..=RTMAX).contains(&number) {
                Ok(Self(number))
            } else {
                Err(error())
            };
        }
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = NAMES.iter().find(|(name, _)| *name == bare) {
            return Ok(Self(*number));
        }
        let number = if bare == "RTMIN" {
            RTMIN
        } else if bare == "RTMAX" {
            RTMAX
        } else if let Some(more) = bare.strip_prefix("RTMIN+") {
            RTMIN + offset(more).ok_or_else(error)?
        } else if let Some(less) = bare.strip_prefix("RTMAX-") {
            RTMAX - offset(less).ok_or_else(error)?
        } else {
            return Err(error());
        };
        if (RTMIN..=RTMAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(error())
        }
    }

    /// The signal of this number, 1 to 64.
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=RTMAX).contains(&number).then_some(Self(number))
    }

    /// The number the kernel knows.
    pub fn number(self) -> i32 {
        self.0
    }

    /// `SIGTERM`, `SIGRTMIN+3`; a number the kernel keeps to itself (32, 33) is printed as such.
    pub fn name(self) -> String {
        match NAMES
            .iter()
            .find(|(name, number)| *number == self.0 && !is_alias(name))
        {
            Some((name, _)) => format!("SIG{name}"),
            None if self.0 == RTMIN => "SIGRTMIN".to_owned(),
            None if self.0 == RTMAX => "SIGRTMAX".to_owned(),
            None if (RTMIN..=49).contains(&self.0) => format!("SIGRTMIN+{}", self.0 - RTMIN),
            None if (50..RTMAX).contains(&self.0) => format!("SIGRTMAX-{}", RTMAX - self.0),
            None => self.0.to_string(),
        }
    }
}

fn is_alias(name: &str) -> bool {
    matches!(name, "CLD" | "IOT" | "POLL")
}

fn offset(text: &str) -> Option<i32> {
    (text.len() <= 2)
        .then(|| text.parse::<u8>().ok())
        .flatten()
        .map(i32::from)
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl FromStr for Signal {
    type Err = SignalError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling() {
        for (text, number) in [
            ("SIGTERM", 15),
            ("TERM", 15),
            ("term", 15),
            ("sigKill", 9),
            ("15", 15),
            ("SIGRTMIN+3", 37),
            ("RTMAX-14", 50),
            ("RTMIN", 34),
            ("64", 64),
            ("SIGCLD", 17),
        ] {
            assert_eq!(Signal::parse(text).unwrap().number(), number, "{text}");
        }
        for bad in [
            "", "0", "-1", "65", "SIG", "FOO", "RTMIN+31", "RTMIN+-1", "RTMAX-31",
        ] {
            assert!(Signal::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Signal::parse("FOO").unwrap_err().to_string(),
            "invalid signal: FOO"
        );
    }

    #[test]
    fn every_number_reads_back() {
        for number in 1..=64 {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(Signal::parse(&signal.name()).unwrap(), signal, "{number}");
        }
        assert_eq!(Signal::KILL.name(), "SIGKILL");
        assert_eq!(Signal::CHLD.name(), "SIGCHLD");
    }
}
