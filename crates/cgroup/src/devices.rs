//! Device rules: one policy, by the kernel's own rules for `devices.allow` and `devices.deny`, and two enforcers.
//!
//! The list of rules is first *played*, which gives a default and exceptions from it. v1 gets them written, v2 gets
//! them compiled ([`v2`]); both then answer alike.

pub(crate) mod v1;
pub(crate) mod v2;

use crate::{Error, Result};
use onggi_oci::runtime::{DeviceKind, DeviceRule};
use std::collections::BTreeMap;
use std::fmt;

/// What is done to a device: reading, writing, making a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access(u8);

impl Access {
    /// Make a node with mknod(2).
    pub const MAKE: Self = Self(1);
    /// Open for reading.
    pub const READ: Self = Self(2);
    /// Open for writing.
    pub const WRITE: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);

    /// Reads letters out of `rwm`.
    ///
    /// # Errors
    /// `InvalidLimit` for any other letter.
    pub fn parse(letters: &str) -> Result<Self> {
        letters
            .chars()
            .try_fold(Self(0), |sum, letter| match letter {
                'm' => Ok(sum | Self::MAKE),
                'r' => Ok(sum | Self::READ),
                'w' => Ok(sum | Self::WRITE),
                _ => Err(Error::InvalidLimit(format!(
                    "invalid device access {letters:?}"
                ))),
            })
    }

    fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn touches(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::ops::BitOr for Access {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MAKE, "m")] {
            if self.touches(bit) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// Which devices an exception is about; `None` is every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Devices {
    pub(crate) block: bool,
    pub(crate) major: Option<u32>,
    pub(crate) minor: Option<u32>,
}

impl Devices {
    fn contains(&self, block: bool, major: u32, minor: u32) -> bool {
        self.block == block
            && self.major.is_none_or(|m| m == major)
            && self.minor.is_none_or(|m| m == minor)
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        let kind = if self.block { 'b' } else { 'c' };
        write!(f, "{kind} {}:{}", number(self.major), number(self.minor))
    }
}

/// What a group may do with devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    allow: bool,
    exceptions: BTreeMap<Devices, Access>,
}

impl Policy {
    /// Plays the rules in their order, beginning with a group that may do everything, as a new one may.
    ///
    /// # Errors
    /// `InvalidLimit` for a rule with an unknown access letter or a number that no device has.
    pub fn from_rules(rules: &[DeviceRule]) -> Result<Self> {
        let mut policy = Self {
            allow: true,
            exceptions: BTreeMap::new(),
        };
        for rule in rules {
            policy.play(rule)?;
        }
        Ok(policy)
    }

    /// Whether nothing is forbidden.
    pub fn allows_everything(&self) -> bool {
        self.allow && self.exceptions.is_empty()
    }

    /// Whether the group may do `access` to a device.
    pub fn allows(&self, kind: DeviceKind, major: u32, minor: u32, access: Access) -> bool {
        let block = kind == DeviceKind::Block;
        let mut about = self
            .exceptions
            .iter()
            .filter(|(d, _)| d.contains(block, major, minor));
        if self.allow {
            !about.any(|(_, bits)| bits.touches(access))
        } else {
            about.any(|(_, bits)| bits.covers(access))
        }
    }

    fn play(&mut self, rule: &DeviceRule) -> Result<()> {
        let access = match rule.access.as_deref() {
            None | Some("") => Access::ALL,
            Some(letters) => Access::parse(letters)?,
        };
        let (major, minor) = (number(rule.major)?, number(rule.minor)?);
        let kinds: &[bool] = match rule.kind {
            None if major.is_none() && minor.is_none() && access == Access::ALL => {
                *self = Self {
                    allow: rule.allow,
                    exceptions: BTreeMap::new(),
                };
                return Ok(());
            }
            None => &[false, true],
            Some(DeviceKind::Block) => &[true],
            Some(DeviceKind::Character) => &[false],
            Some(DeviceKind::Fifo) => {
                return Err(Error::InvalidLimit(
                    "a device rule cannot be about a fifo".into(),
                ));
            }
        };
        for &block in kinds {
            let devices = Devices {
                block,
                major,
                minor,
            };
            let before = self.exceptions.get(&devices).copied().unwrap_or(Access(0));
            let after = if rule.allow == self.allow {
                Access(before.0 & !access.0)
            } else {
                before | access
            };
            if after.0 == 0 {
                self.exceptions.remove(&devices);
            } else {
                self.exceptions.insert(devices, after);
            }
        }
        Ok(())
    }
}

/// A device number of a rule; negative is every one.
fn number(value: Option<i64>) -> Result<Option<u32>> {
    match value {
        None | Some(..0) => Ok(None),
        Some(n) => u32::try_from(n)
            .map(Some)
            .map_err(|_| Error::InvalidLimit(format!("invalid device number {n}"))),
    }
}

#[cfg(test)]
mod tests;
