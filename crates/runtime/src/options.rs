//! Mount options in the words of mount(8) and the OCI, parsed once: what becomes an attribute of the mount, what its propagation,
//! and what is left for the file system.

use onggi_sys::mount as attr;

use crate::Error;

/// The options of one mount.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// `Some(true)`: rbind.
    pub(crate) bind: Option<bool>,
    /// Attributes of this mount.
    pub(crate) one: Change,
    /// Attributes of this mount and all that come with it (`rro` and the like).
    pub(crate) tree: Change,
    /// `MS_*` propagation and whether it is for the whole tree.
    pub(crate) propagation: Option<(Propagation, attr::Reach)>,
    /// What the file system is told: keys with and without value.
    pub(crate) data: Vec<(String, Option<String>)>,
}

/// Attributes set and cleared.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) set: u64,
    pub(crate) clear: u64,
}

impl Change {
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn apply(&mut self, bits: u64, on: bool) {
        if on {
            self.set |= bits;
            self.clear &= !bits;
        } else {
            self.clear |= bits;
            self.set &= !bits;
        }
    }
}

/// Propagation of mount events (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Private,
    Slave,
    Shared,
    Unbindable,
}

impl Propagation {
    /// The `MS_*` bit.
    pub(crate) fn bits(self) -> u64 {
        match self {
            Self::Unbindable => 1 << 17,
            Self::Private => 1 << 18,
            Self::Slave => 1 << 19,
            Self::Shared => 1 << 20,
        }
    }

    /// `rslave` and its like.
    pub(crate) fn parse(word: &str) -> Option<(Self, attr::Reach)> {
        let (word, reach) = match word.strip_prefix('r') {
            Some(rest) => (rest, attr::Reach::Tree),
            None => (word, attr::Reach::One),
        };
        let propagation = match word {
            "private" => Self::Private,
            "slave" => Self::Slave,
            "shared" => Self::Shared,
            "unbindable" => Self::Unbindable,
            _ => return None,
        };
        Some((propagation, reach))
    }
}

/// Word, bits, whether it sets them.
const ATTRIBUTES: &[(&str, u64, bool)] = &[
    ("ro", attr::RDONLY, true),
    ("rw", attr::RDONLY, false),
    ("nosuid", attr::NOSUID, true),
    ("suid", attr::NOSUID, false),
    ("nodev", attr::NODEV, true),
    ("dev", attr::NODEV, false),
    ("noexec", attr::NOEXEC, true),
    ("exec", attr::NOEXEC, false),
    ("nodiratime", attr::NODIRATIME, true),
    ("diratime", attr::NODIRATIME, false),
    ("nosymfollow", attr::NOSYMFOLLOW, true),
    ("symfollow", attr::NOSYMFOLLOW, false),
];

/// Choices of access time exclude each other. `0` is relatime, the kernel's default.
const ACCESS_TIMES: &[(&str, u64)] = &[
    ("noatime", attr::NOATIME),
    ("strictatime", attr::STRICTATIME),
    ("relatime", 0),
    ("atime", 0),
    ("norelatime", 0),
    ("nostrictatime", 0),
];

/// Words that mean nothing to us or are the default.
const IGNORED: &[&str] = &["defaults", "remount", "loud", "silent"];

/// Words this runtime has no way to honour.
const REFUSED: &[&str] = &["tmpcopyup", "idmap", "ridmap"];

/// All words that are known, for `features`.
pub(crate) fn known() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().map(|(word, ..)| *word);
    let times = ACCESS_TIMES.iter().map(|(word, _)| *word);
    let mut words: Vec<String> = attributes
        .chain(times)
        .flat_map(|word| [word.to_owned(), format!("r{word}")])
        .collect();
    for word in ["private", "slave", "shared", "unbindable", "bind"] {
        words.extend([word.to_owned(), format!("r{word}")]);
    }
    words.push("defaults".to_owned());
    words.sort();
    words.dedup();
    words
}

impl Options {
    /// Parses the list of one mount.
    pub(crate) fn parse(words: &[String]) -> Result<Self, Error> {
        let mut options = Self::default();
        for word in words {
            options.add(word)?;
        }
        Ok(options)
    }

    /// Our own option `subpath=PATH`: not the source but what is there below it.
    pub(crate) fn take_subpath(&mut self) -> Option<String> {
        let at = self.data.iter().position(|(key, _)| key == "subpath")?;
        self.data.remove(at).1
    }

    fn add(&mut self, word: &str) -> Result<(), Error> {
        if IGNORED.contains(&word) || word.is_empty() {
            return Ok(());
        }
        if REFUSED.contains(&word) {
            return Err(Error::Unsupported(format!(
                "mount option {word:?} is not supported"
            )));
        }
        match word {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            _ => {
                if let Some(propagation) = Propagation::parse(word) {
                    self.propagation = Some(propagation);
                } else if !attribute(word, &mut self.one)
                    && !word
                        .strip_prefix('r')
                        .is_some_and(|bare| attribute(bare, &mut self.tree))
                {
                    let (key, value) = match word.split_once('=') {
                        Some((key, value)) => (key, Some(value.to_owned())),
                        None => (word, None),
                    };
                    self.data.push((key.to_owned(), value));
                }
            }
        }
        Ok(())
    }
}

fn attribute(word: &str, change: &mut Change) -> bool {
    if let Some((_, bits, on)) = ATTRIBUTES.iter().find(|(known, ..)| *known == word) {
        change.apply(*bits, *on);
        return true;
    }
    if let Some((_, bits)) = ACCESS_TIMES.iter().find(|(known, _)| *known == word) {
        // mount_setattr(2): the whole field is cleared before one value is set.
        change.clear |= attr::ATIME;
        change.set = change.set & !attr::ATIME | bits;
        return true;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Options {
        let words: Vec<String> = words.split(',').map(str::to_owned).collect();
        Options::parse(&words).expect("parses")
    }

    #[test]
    fn dockers_shm() {
        let options = parse("nosuid,noexec,nodev,mode=1777,size=67108864");
        assert_eq!(options.one.set, attr::NOSUID | attr::NOEXEC | attr::NODEV);
        assert_eq!(
            options.data,
            [
                ("mode".to_owned(), Some("1777".to_owned())),
                ("size".to_owned(), Some("67108864".to_owned()))
            ]
        );
    }

    #[test]
    fn the_last_word_wins() {
        assert_eq!(parse("ro,rw").one.set, 0);
        assert_eq!(parse("rw,ro").one.set, attr::RDONLY);
        assert_eq!(parse("noatime,strictatime").one.set, attr::STRICTATIME);
    }

    #[test]
    fn recursion_is_told_apart() {
        let options = parse("rbind,rro,nosuid,rslave");
        assert_eq!(options.bind, Some(true));
        assert_eq!(options.tree.set, attr::RDONLY);
        assert_eq!(options.one.set, attr::NOSUID);
        assert_eq!(
            options.propagation,
            Some((Propagation::Slave, attr::Reach::Tree))
        );
        assert!(options.data.is_empty());
        // "relatime", "rw", "remount" begin with r and are no recursive forms.
        assert!(parse("rw,relatime,remount").tree.is_empty());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        assert!(Options::parse(&["tmpcopyup".to_owned()]).is_err());
    }
}
