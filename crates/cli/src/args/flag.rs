//! The description of a flag: one entry of a table that drives parsing, help and completion.

/// How the value of a flag behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A switch: needs no value, `--x=false` is possible.
    Bool,
    /// One value, the last one counts.
    One,
    /// Values gather in the order given.
    Many,
}

/// Tells what is wrong with a value, in Docker's words.
pub(crate) type Check = fn(&str) -> Result<(), String>;

/// What can complete the value of a flag or an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complete {
    /// Nothing is known.
    Nothing,
    /// One of these words.
    Words(&'static [&'static str]),
    /// The name of a file.
    Files,
    /// Containers of the daemon.
    Containers,
    /// Running containers of the daemon.
    Running,
    /// Images of the daemon.
    Images,
    /// Networks of the daemon.
    Networks,
    /// Volumes of the daemon.
    Volumes,
    /// Objects of any kind.
    Objects,
    /// Contexts of the client.
    Contexts,
    /// Services of the Compose project.
    Services,
    /// Profiles of the Compose project.
    Profiles,
}

/// A flag of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) kind: Kind,
    /// The word for the value in the help: Docker's (`list`, `bytes`); empty for switches.
    pub(crate) value: &'static str,
    pub(crate) about: &'static str,
    /// The default as the help shows it, quoted where it is text; empty for none worth showing.
    pub(crate) default: &'static str,
    pub(crate) check: Check,
    pub(crate) complete: Complete,
    /// The API version the daemon must speak, if not every one can do this.
    pub(crate) since: Option<(u16, u16)>,
    /// Whether only daemons on Windows can do this.
    pub(crate) windows: bool,
    pub(crate) hidden: bool,
}

/// A flag to start a table entry from; `name` is `long` or `s,long`.
pub(crate) const fn flag(
    short: Option<char>,
    long: &'static str,
    kind: Kind,
    value: &'static str,
    about: &'static str,
) -> Flag {
    Flag {
        long,
        short,
        kind,
        value,
        about,
        default: "",
        check: super::check::anything,
        complete: Complete::Nothing,
        since: None,
        windows: false,
        hidden: false,
    }
}

/// A switch.
pub(crate) const fn switch(short: Option<char>, long: &'static str, about: &'static str) -> Flag {
    flag(short, long, Kind::Bool, "", about).checked(super::check::boolean)
}

/// A flag with one value.
pub(crate) const fn value(
    short: Option<char>,
    long: &'static str,
    value: &'static str,
    about: &'static str,
) -> Flag {
    flag(short, long, Kind::One, value, about)
}

/// A flag that may be repeated.
pub(crate) const fn list(
    short: Option<char>,
    long: &'static str,
    value: &'static str,
    about: &'static str,
) -> Flag {
    flag(short, long, Kind::Many, value, about)
}

impl Flag {
    /// The same with a check of its values.
    pub(crate) const fn checked(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    /// The same with a default shown in the help.
    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    /// The same with a completion of its values.
    pub(crate) const fn completed(mut self, complete: Complete) -> Self {
        self.complete = complete;
        self
    }

    /// The same, for daemons that speak at least this API version.
    pub(crate) const fn since(mut self, major: u16, minor: u16) -> Self {
        self.since = Some((major, minor));
        self
    }

    /// The same, for daemons on Windows only.
    pub(crate) const fn windows(mut self) -> Self {
        self.windows = true;
        self
    }

    /// The same, not shown in the help.
    pub(crate) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// The flag as errors name it: `-f, --filter` or `--format`.
    pub(crate) fn shown(&self) -> String {
        match self.short {
            Some(short) => format!("-{short}, --{}", self.long),
            None => format!("--{}", self.long),
        }
    }
}
