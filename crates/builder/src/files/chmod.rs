//! `--chmod`: octal, or in symbols as chmod(1) takes them.

use super::Error;

/// What is taken from those who are not named: what the umask of builders is everywhere.
const UMASK: u32 = 0o022;

/// What becomes of modes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Chmod {
    /// They stay.
    #[default]
    Kept,
    /// This one.
    Octal(u32),
    /// Changed, one after the other.
    Symbols(Vec<Change>),
}

/// `u=rwX`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Bits of those it is for.
    who: u32,
    /// Whether nobody was named.
    is_for_all: bool,
    operator: char,
    /// As for everybody.
    bits: u32,
    /// `X`
    executes: bool,
    /// `g=u`
    from: Option<char>,
}

impl Chmod {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text else {
            return Ok(Self::Kept);
        };
        let wrong = || {
            Error::wrong(format!(
                "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
            ))
        };
        if let Ok(mode) = u32::from_str_radix(text, 8) {
            return match mode {
                0..=0o7777 => Ok(Self::Octal(mode)),
                _ => Err(wrong()),
            };
        }
        let mut changes = Vec::new();
        for clause in text.split(',') {
            let named = clause.find(|c| !"ugoa".contains(c)).ok_or_else(wrong)?;
            let mut rest = &clause[named..];
            let who = clause[..named]
                .chars()
                .map(who)
                .fold(0, |all, one| all | one);
            while let Some(operator @ ('+' | '-' | '=')) = rest.chars().next() {
                rest = &rest[1..];
                let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
                let change = Change::parse(who, operator, &rest[..end]).ok_or_else(wrong)?;
                changes.push(change);
                rest = &rest[end..];
            }
            if !rest.is_empty() || clause.len() == named {
                return Err(wrong());
            }
        }
        Ok(Self::Symbols(changes))
    }

    /// What a mode becomes.
    pub(crate) fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Kept => mode & 0o7777,
            Self::Octal(mode) => *mode,
            Self::Symbols(changes) => changes.iter().fold(mode & 0o7777, |mode, change| {
                change.apply(mode, is_directory)
            }),
        }
    }
}

fn who(letter: char) -> u32 {
    match letter {
        'u' => 0o4700,
        'g' => 0o2070,
        'o' => 0o1007,
        _ => 0o7777,
    }
}

impl Change {
    fn parse(who: u32, operator: char, text: &str) -> Option<Self> {
        let mut change = Self {
            who: if who == 0 { 0o7777 } else { who },
            is_for_all: who == 0,
            operator,
            bits: 0,
            executes: false,
            from: None,
        };
        if let "u" | "g" | "o" = text {
            change.from = text.chars().next();
            return Some(change);
        }
        for letter in text.chars() {
            match letter {
                'r' => change.bits |= 0o444,
                'w' => change.bits |= 0o222,
                'x' => change.bits |= 0o111,
                'X' => change.executes = true,
                's' => change.bits |= 0o6000,
                't' => change.bits |= 0o1000,
                _ => return None,
            }
        }
        Some(change)
    }

    fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let mut bits = self.bits;
        if self.executes && (is_directory || mode & 0o111 != 0) {
            bits |= 0o111;
        }
        if let Some(from) = self.from {
            let shift = match from {
                'u' => 6,
                'g' => 3,
                _ => 0,
            };
            bits |= ((mode >> shift) & 7) * 0o111;
        }
        // `t` is for all; those who are named give and take set-user-id and set-group-id of their own.
        let sticky = bits & 0o1000;
        bits &= self.who;
        bits |= sticky;
        if self.is_for_all {
            bits &= !UMASK;
        }
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ => {
                let mut taken = self.who & 0o777;
                // Of directories set-user-id and set-group-id stay unless they are named, as chmod(1) has it.
                if !is_directory {
                    taken |= self.who & 0o6000;
                }
                mode & !taken | bits
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change() {
        for (text, mode, is_directory, expected) in [
            ("644", 0o755, false, 0o644),
            ("0755", 0o600, true, 0o755),
            ("4755", 0o644, false, 0o4755),
            ("0", 0o644, false, 0),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("a+x", 0o644, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("+w", 0o444, false, 0o644),
            ("go-rwx", 0o777, false, 0o700),
            ("g=u", 0o640, false, 0o660),
            ("u+s", 0o755, false, 0o4755),
            ("g+s", 0o755, true, 0o2755),
            ("+t", 0o777, true, 0o1777),
            ("u+x-w", 0o644, false, 0o544),
            ("=r", 0o777, false, 0o444),
            ("o=", 0o777, false, 0o770),
        ] {
            let chmod = Chmod::parse(Some(text)).unwrap();
            let got = chmod.apply(mode, is_directory);
            assert_eq!(got, expected, "{text} {mode:o}: {got:o}");
        }
        for text in ["10000", "8", "abc", "u", "u+q", "", "u+x,", "u=rg", "a+x b"] {
            let error = Chmod::parse(Some(text)).unwrap_err().to_string();
            let expected = format!(
                "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
            );
            assert_eq!(error, expected);
        }
        assert_eq!(Chmod::parse(None).unwrap().apply(0o104_755, false), 0o4755);
    }
}
