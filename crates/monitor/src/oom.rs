//! The kernel's memory killer: that it was here, and who fell to it: limit and peak from the control group, the victim from the kernel's log.
//!
//! The line is the same on cgroup v1 and v2 (`oom-kill:constraint=...,task_memcg=/onggi/ID,task=NAME,pid=N,uid=0`). Where
//! the log cannot be read, what it would tell stays open.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use onggi_cgroup::{Group, MemoryAlarm};
use rustix::time::{ClockId, clock_gettime};

use crate::protocol::{Oom, Scope};

/// The kernel's clock for its log is not quite the monotonic one.
const SLACK: Duration = Duration::from_secs(2);
/// More than the log of any kernel has: whoever floods it does not keep us here.
const MOST_LINES: usize = 100_000;

/// How long after the alarm a kill is waited for: on cgroup v1 the alarm comes first, and there may be no kill at all
/// (`--oom-kill-disable`).
const WATCHED: Duration = Duration::from_secs(1);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// Waits for the memory killer in one group.
#[derive(Debug)]
pub(crate) struct Watch {
    alarm: MemoryAlarm,
    /// Kills that were told.
    told: u64,
    /// When the alarm went, while no kill is seen.
    since: Option<Instant>,
}

impl Watch {
    /// Nothing where the kernel has no alarm: then kills are told at the end.
    pub(crate) fn new(group: &Group) -> Option<Self> {
        let alarm = MemoryAlarm::of(group).ok()??;
        let (told, since) = (0, None);
        Some(Self { alarm, told, since })
    }

    /// What to poll; nothing while it is looked for anyway.
    pub(crate) fn alarm(&self) -> Option<&MemoryAlarm> {
        self.since.is_none().then_some(&self.alarm)
    }

    /// When to look again.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.since.map(|_| Instant::now() + LOOK)
    }

    /// The alarm went.
    pub(crate) fn ring(&mut self) {
        self.alarm.rearm();
        self.since = Some(Instant::now());
    }

    /// Whether processes were killed that nobody was told of, once.
    pub(crate) fn is_news(&mut self, kills: u64) -> bool {
        let news = kills > self.told;
        self.told = kills;
        let late = |since: Instant| !self.alarm.comes_first() || since.elapsed() >= WATCHED;
        if news || self.since.is_some_and(late) {
            self.since = None;
        }
        news
    }
}

/// What is known about the last kill in `group`, that of container `id`, which was started `ago`.
pub(crate) fn find(group: &Group, id: &str, ago: Duration) -> Oom {
    let memory = group.stats().map(|stats| stats.memory).unwrap_or_default();
    let now = clock_gettime(ClockId::Monotonic);
    let now = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32);
    let since = now.saturating_sub(ago + SLACK).as_micros();
    Oom {
        limit: memory.limit,
        peak: memory.max_usage,
        ..victim(id, since).unwrap_or_default()
    }
}

/// Reads the kernel's log to its end.
fn victim(id: &str, since: u128) -> Option<Oom> {
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open("/dev/kmsg")
        .ok()?;
    let mut found = None;
    // One read, one record (its documentation: Documentation/ABI/testing/dev-kmsg).
    let mut record = vec![0; 8192];
    for _ in 0..MOST_LINES {
        match log.read(&mut record) {
            Ok(count) => {
                let text = String::from_utf8_lossy(&record[..count]);
                found = parse(&text, id, since).or(found);
            }
            // Overwritten before it was read: the next read goes on behind.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    found
}

/// One record: `priority,number,microseconds,flags;text`.
fn parse(record: &str, id: &str, since: u128) -> Option<Oom> {
    let (head, text) = record.split_once(';')?;
    let time: u128 = head.split(',').nth(2)?.parse().ok()?;
    let words = text.lines().next()?.strip_prefix("oom-kill:")?;
    // A name may hold anything, also a comma: it ends where the next word begins.
    let (words, rest) = words.split_once(",task=")?;
    let (name, rest) = rest.rsplit_once(",pid=")?;
    let word = |wanted: &str| {
        let mut words = words.split(',');
        words.find_map(|word| word.strip_prefix(wanted)?.strip_prefix('='))
    };
    let is_ours = |group: &str| group.split('/').any(|part| part == id);
    if time < since || id.is_empty() || !is_ours(word("task_memcg")?) {
        return None;
    }
    let scope = match word("oom_memcg") {
        Some(group) if is_ours(group) => Scope::Container,
        Some(_) => Scope::Parent,
        None => Scope::Machine,
    };
    Some(Oom {
        victim: Some(name.to_owned()),
        pid: rest.split(',').next()?.parse().ok(),
        scope,
        ..Oom::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_names_its_victim() {
        let line = |group: &str, name: &str| {
            format!(
                "6,1503,11103960733,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c,mems_allowed=0,{group}\
                 task_memcg=/onggi/c1,task={name},pid=5893,uid=0\n SUBSYSTEM=x\n"
            )
        };
        let own = line("oom_memcg=/onggi/c1,", "dd");
        let found = parse(&own, "c1", 11_103_960_733).expect("ours");
        assert_eq!(
            (found.victim.as_deref(), found.pid, found.scope),
            (Some("dd"), Some(5893), Scope::Container)
        );
        for (text, id, since, expected) in [
            (own.clone(), "c1", 11_103_960_734, None),
            (own.clone(), "c", 0, None),
            (own, "", 0, None),
            (
                line("oom_memcg=/onggi,", "a,pid=1"),
                "c1",
                0,
                Some(("a,pid=1", Scope::Parent)),
            ),
            (
                line("global_oom,", "x"),
                "c1",
                0,
                Some(("x", Scope::Machine)),
            ),
            ("6,1,2,-;eth0: link up".to_owned(), "c1", 0, None),
        ] {
            let found = parse(&text, id, since);
            let found = found.map(|oom| (oom.victim.unwrap_or_default(), oom.scope));
            let expected = expected.map(|(name, scope)| (name.to_owned(), scope));
            assert_eq!(found, expected, "{text}");
        }
    }
}
