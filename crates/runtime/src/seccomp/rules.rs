//! Rules to an answer for every number: what the filter *says*, before it is code.

use super::Error;
use super::table::{Member, X32_BIT};
use onggi_oci::runtime::{Action, Argument, Operator, Seccomp};
use std::collections::HashMap;
use std::rc::Rc;

// What a filter returns (linux/seccomp.h).
const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const NOTIFY: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// For calls of an architecture that is not listed.
pub(super) const FOREIGN: u32 = KILL_PROCESS;

/// The answer to a call: the value the filter returns, directly or after looking at arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Always(u32),
    Depends(Rc<Choice>),
}

/// The first case that holds decides.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) cases: Vec<Case>,
    pub(super) otherwise: u32,
    /// Arguments have 32 bits.
    pub(super) narrow: bool,
}

/// All conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) conditions: Vec<Condition>,
    pub(super) value: u32,
}

/// A condition in the form the code generator wants: `argument & mask` against a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) index: u32,
    pub(super) mask: u64,
    pub(super) compare: Compare,
    pub(super) value: u64,
    /// The condition holds when the comparison does not.
    pub(super) negated: bool,
}

/// What cannot be had by negating something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Greater,
    GreaterOrEqual,
}

/// From `start` up to the next range, one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) answer: Answer,
}

/// All rules about one name.
#[derive(Default)]
struct Named {
    cases: Vec<Case>,
    always: Option<u32>,
}

/// The rules of a profile by name.
pub(super) struct Rules<'a> {
    default: u32,
    names: HashMap<&'a str, Named, Quick>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(seccomp: &'a Seccomp) -> Result<Self, Error> {
        let default = value(seccomp.default_action, seccomp.default_errno_ret)?;
        let mut names: HashMap<&str, Named, Quick> = HashMap::default();
        for rule in &seccomp.syscalls {
            let value = value(rule.action, rule.errno_ret)?;
            if value == default {
                continue;
            }
            for name in &rule.names {
                let named = names.entry(name).or_default();
                if rule.args.is_empty() {
                    named.always.get_or_insert(value);
                    continue;
                }
                let conditions: Vec<Condition> = rule
                    .args
                    .iter()
                    .map(|arg| condition(name, arg))
                    .collect::<Result<_, _>>()?;
                if repeats(&conditions) {
                    let alone = |c| Case {
                        conditions: vec![c],
                        value,
                    };
                    named.cases.extend(conditions.into_iter().map(alone));
                } else {
                    named.cases.push(Case { conditions, value });
                }
            }
        }
        Ok(Self { default, names })
    }

    /// The answers for all numbers of a family, whose native member comes first; neighbours differ.
    pub(super) fn partition(&self, members: &[&Member]) -> Vec<Range> {
        let mut ranges = Vec::new();
        for member in members {
            push(&mut ranges, member.base, Answer::Always(self.default));
            let mut numbers = self.answers(member);
            numbers.sort_unstable_by_key(|(number, _)| *number);
            let mut next = member.base;
            for (number, answer) in numbers {
                if number > next {
                    push(&mut ranges, next, Answer::Always(self.default));
                }
                push(&mut ranges, number, answer);
                next = number + 1;
            }
            push(&mut ranges, next, Answer::Always(self.unknown()));
        }
        let has_x32 = members.iter().any(|m| m.base == X32_BIT);
        let is_x86 = members
            .iter()
            .any(|m| m.arch == onggi_oci::runtime::Arch::X86_64);
        if is_x86 && !has_x32 {
            push(&mut ranges, X32_BIT, Answer::Always(FOREIGN));
            // -1 is how a tracer says "no call"; it is of no ABI.
            push(&mut ranges, u32::MAX, Answer::Always(self.unknown()));
        }
        ranges
    }

    /// The answer for numbers newer than the rules. Where the default lets calls run it is the default's.
    fn unknown(&self) -> u32 {
        match self.default {
            ALLOW | LOG => self.default,
            _ => ERRNO | ENOSYS,
        }
    }

    fn answers(&self, member: &Member) -> Vec<(u32, Answer)> {
        let mut numbers = Vec::with_capacity(512);
        (member.each)(&mut |name, number| {
            if let Some(named) = self.names.get(name) {
                let otherwise = named.always.unwrap_or(self.default);
                let answer = if named.cases.is_empty() {
                    Answer::Always(otherwise)
                } else {
                    let cases = named.cases.clone();
                    Answer::Depends(Rc::new(Choice {
                        cases,
                        otherwise,
                        narrow: member.narrow,
                    }))
                };
                numbers.push((member.base + number, answer));
            }
        });
        numbers
    }
}

/// Adds a range, or widens the last one when it says the same. A range of no numbers is replaced.
fn push(ranges: &mut Vec<Range>, start: u32, answer: Answer) {
    if ranges.last().is_some_and(|last| last.start == start) {
        ranges.pop();
    }
    if ranges.last().is_none_or(|last| last.answer != answer) {
        ranges.push(Range { start, answer });
    }
}

fn value(action: Action, errno: Option<u32>) -> Result<u32, Error> {
    let data = errno.unwrap_or(EPERM);
    Ok(match action {
        Action::Kill | Action::KillThread => KILL_THREAD,
        Action::KillProcess => KILL_PROCESS,
        Action::Trap => TRAP,
        Action::Errno if data > 4095 => return Err(Error::Errno(data)),
        Action::Errno => ERRNO | data,
        Action::Trace => TRACE | (data & 0xffff),
        Action::Notify => NOTIFY,
        Action::Log => LOG,
        Action::Allow => ALLOW,
    })
}

fn condition(name: &str, argument: &Argument) -> Result<Condition, Error> {
    let Argument {
        index,
        value,
        value_two,
        op,
    } = *argument;
    if index > 5 {
        return Err(Error::Argument {
            name: name.to_owned(),
            index,
        });
    }
    let (compare, negated) = match op {
        Operator::Equal | Operator::MaskedEqual => (Compare::Equal, false),
        Operator::NotEqual => (Compare::Equal, true),
        Operator::Greater => (Compare::Greater, false),
        Operator::LessOrEqual => (Compare::Greater, true),
        Operator::GreaterOrEqual => (Compare::GreaterOrEqual, false),
        Operator::Less => (Compare::GreaterOrEqual, true),
    };
    let (mask, value) = match op {
        Operator::MaskedEqual => (value, value_two & value),
        _ => (u64::MAX, value),
    };
    Ok(Condition {
        index,
        mask,
        compare,
        value,
        negated,
    })
}

/// Whether two conditions are on the same argument.
fn repeats(conditions: &[Condition]) -> bool {
    let mut seen = 0_u8;
    conditions.iter().any(|c| {
        let bit = 1 << c.index;
        let again = seen & bit != 0;
        seen |= bit;
        again
    })
}

type Quick = std::hash::BuildHasherDefault<Fnv>;

/// FNV-1a: a filter is compiled at every start of a container, from names that the container's owner chose.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::hash::Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
