//! From what is known about a container to what it means. Nothing here asks the daemon.

use onggi_api::event::Message;
use onggi_model::units::bytes_size;
use serde_json::Value;

use super::Known;
use crate::text::span;

/// What it means. In advice `ONGGI` stands for this program and `NAME` for the container.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Follows the container's name: `was killed ...`.
    pub(super) what: String,
    pub(super) facts: Vec<String>,
    pub(super) advice: Vec<String>,
    /// Whether what the container wrote may tell more.
    pub(super) speaks: bool,
}

/// Signals that end a program because it did something wrong, and what that mostly is.
const CRASHES: [(i64, &str, &str); 6] = [
    (4, "SIGILL", "an instruction this CPU does not have"),
    (5, "SIGTRAP", "a trap or a failed check"),
    (6, "SIGABRT", "it ended itself, mostly after a failed check"),
    (
        7,
        "SIGBUS",
        "memory that could not be had, often a full /dev/shm",
    ),
    (
        8,
        "SIGFPE",
        "an impossible calculation, like a division by zero",
    ),
    (11, "SIGSEGV", "memory that is not its own"),
];

/// Says what happened.
pub(super) fn of(known: &Known, now: jiff::Timestamp) -> Verdict {
    let state = &known.container["State"];
    let on = |field: &str| state[field].as_bool().unwrap_or(false);
    let status = state["Status"].as_str().unwrap_or_default();
    if on("Restarting") || status == "restarting" {
        return restarting(known);
    }
    if on("Paused") {
        return Verdict {
            what: "is paused: its processes are frozen".to_owned(),
            advice: vec!["ONGGI unpause NAME".to_owned()],
            ..Verdict::default()
        };
    }
    if on("Running") {
        return running(known, now);
    }
    if status == "created" {
        return never_started(known);
    }
    let mut verdict = ended(known);
    exhausted(known, &mut verdict);
    verdict
}

fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    let mut value = value;
    for key in path {
        value = &value[*key];
    }
    value.as_str().unwrap_or_default()
}

fn code_of(known: &Known) -> i64 {
    known.container["State"]["ExitCode"].as_i64().unwrap_or(0)
}

/// The command as it was executed.
fn command(known: &Known) -> String {
    let args = known.container["Args"].as_array().into_iter().flatten();
    std::iter::once(&known.container["Path"])
        .chain(args)
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

fn restarting(known: &Known) -> Verdict {
    if let Some(facts) = sent_by_health(known) {
        return Verdict {
            what: "is started again because its health check failed".to_owned(),
            facts,
            advice: vec![the_check(known), leave_unhealthy()],
            speaks: true,
        };
    }
    let inner = ended(known);
    Verdict {
        what: format!("restarts again and again: it {}", inner.what),
        advice: [
            inner.advice,
            vec!["to look at it in peace: ONGGI update --restart=no NAME".to_owned()],
        ]
        .concat(),
        ..inner
    }
}

fn running(known: &Known, now: jiff::Timestamp) -> Verdict {
    let state = &known.container["State"];
    let health = &state["Health"];
    let mut verdict = match text(health, &["Status"]) {
        "unhealthy" => unhealthy(known, now),
        "starting" => Verdict {
            what: "runs, and its health check has not succeeded yet".to_owned(),
            facts: probe(known, now),
            advice: vec!["wait, or see the check's own words: ONGGI inspect -f '{{json .State.Health}}' NAME".to_owned()],
            speaks: false,
        },
        "healthy" => Verdict {
            what: "runs and is healthy".to_owned(),
            ..Verdict::default()
        },
        _ => Verdict {
            what: "runs; nothing is known to be wrong".to_owned(),
            ..Verdict::default()
        },
    };
    let again = |event: &Message| {
        let reason = event.actor.attributes.get("reason");
        event.action == "restart" && reason.is_some_and(|reason| reason == "unhealthy")
    };
    if known.events.iter().any(again) {
        verdict
            .facts
            .push("it was started again because its health check failed before".to_owned());
        if text(health, &["Status"]) != "unhealthy" {
            verdict.facts.extend(failure(known));
        }
        verdict.advice.push(leave_unhealthy());
    }
    let killed = known.events.iter().any(|event| event.action == "oom");
    if killed || state["OOMKilled"] == true {
        if health.is_null() {
            verdict.what = "runs, but lost a process".to_owned();
        }
        verdict.facts.push(format!(
            "one of its processes was killed for want of memory{}",
            limit(known)
        ));
        verdict.advice.push(more_memory(known));
        verdict.speaks = true;
    }
    verdict
}

/// What the daemon did because the check failed: signals that nobody else asked for.
fn sent_by_health(known: &Known) -> Option<Vec<String>> {
    let sent = |event: &&Message| {
        let reason = event.actor.attributes.get("reason");
        event.action == "kill" && reason.is_some_and(|reason| reason == "unhealthy")
    };
    let signals: Vec<String> = known
        .events
        .iter()
        .filter(sent)
        .filter_map(signal)
        .map(signal_name)
        .collect();
    if signals.is_empty() {
        return None;
    }
    let mut facts = vec![format!("check: {}", shell_words(&test(known)))];
    facts.extend(failure(known));
    facts.push(format!(
        "so the daemon sent it {}, as --on-unhealthy=restart says",
        signals.join(" and ")
    ));
    Some(facts)
}

/// The last failure of its check.
fn failure(known: &Known) -> Option<String> {
    let log = known.container["State"]["Health"]["Log"].as_array()?;
    let failed = log.iter().rev().find(|probe| probe["ExitCode"] != 0)?;
    Some(format!("it failed with {}", said(failed)))
}

/// `exit code 7, what it wrote first`.
fn said(probe: &Value) -> String {
    let code = probe["ExitCode"].as_i64().unwrap_or(-1);
    let output = text(probe, &["Output"]).trim();
    let first = output.lines().next().unwrap_or("no output");
    format!("exit code {code}, {first}")
}

fn the_check(known: &Known) -> String {
    "run the check yourself: ONGGI exec NAME ".to_owned() + &shell_words(&test(known))
}

fn leave_unhealthy() -> String {
    "to look at it in peace: ONGGI update --on-unhealthy=no NAME".to_owned()
}

fn unhealthy(known: &Known, now: jiff::Timestamp) -> Verdict {
    let streak = known.container["State"]["Health"]["FailingStreak"]
        .as_i64()
        .unwrap_or(0);
    let mut advice = Vec::new();
    let last = last_probe(known);
    let output = last.map_or("", |probe| text(probe, &["Output"]));
    if output.contains("exceeded timeout") || output.contains("context deadline exceeded") {
        advice.push(
            "the check takes too long: give it more time with --health-timeout, or make it cheaper"
                .to_owned(),
        );
    } else if output.contains("executable file not found")
        || output.contains("not found") && last.is_some_and(|probe| probe["ExitCode"] == 127)
    {
        advice.push("the check's program is not in the image: install it, or check with one that is there (--health-cmd)".to_owned());
    } else {
        advice.push(the_check(known));
    }
    Verdict {
        what: format!("is unhealthy: its check failed {streak} times in a row"),
        facts: probe(known, now),
        advice,
        speaks: true,
    }
}

fn last_probe(known: &Known) -> Option<&Value> {
    known.container["State"]["Health"]["Log"].as_array()?.last()
}

/// The health check's words.
fn test(known: &Known) -> Vec<String> {
    let test = known.container["Config"]["Healthcheck"]["Test"].as_array();
    let words: Vec<String> = test
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    match words.split_first() {
        Some((kind, rest)) if kind == "CMD-SHELL" => {
            [&["sh".to_owned(), "-c".to_owned()], rest].concat()
        }
        Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
        _ => words,
    }
}

fn probe(known: &Known, now: jiff::Timestamp) -> Vec<String> {
    let mut facts = vec![format!("check: {}", shell_words(&test(known)))];
    if let Some(last) = last_probe(known) {
        let when = text(last, &["End"]).parse::<jiff::Timestamp>();
        let when = when.map_or(String::new(), |time| format!("{} ago: ", span(time, now)));
        facts.push(format!("{when}{}", said(last)));
    }
    facts
}

fn never_started(known: &Known) -> Verdict {
    let error = text(&known.container, &["State", "Error"]);
    if error.is_empty() {
        return Verdict {
            what: "was made but never started".to_owned(),
            advice: vec!["ONGGI start NAME".to_owned()],
            ..Verdict::default()
        };
    }
    failed_start(known, error)
}

/// The daemon could not start it: it says why, we say what that means.
fn failed_start(known: &Known, error: &str) -> Verdict {
    let image = text(&known.container, &["Config", "Image"]);
    let look = format!("look into the image: ONGGI run --rm -it --entrypoint sh {image}");
    let has = |words: &[&str]| words.iter().any(|word| error.contains(word));
    let (what, advice) = if has(&["executable file not found", "no such file or directory"])
        && !has(&["bind source", "mount", "device"])
    {
        (
            "could not start: its command is not in the image",
            vec![
                format!("check the spelling of the command: {}", command(known)),
                "a script also needs the interpreter of its first line, and line ends without \\r"
                    .to_owned(),
                look,
            ],
        )
    } else if has(&["exec format error"]) {
        (
            "could not start: its program is for another machine",
            vec![
                "use an image for this architecture (--platform), or install emulation with binfmt_misc".to_owned(),
                "a script needs a first line like #!/bin/sh".to_owned(),
            ],
        )
    } else if has(&["permission denied", "is a directory"]) && !has(&["mount"]) {
        (
            "could not start: its command may not be executed",
            vec![
                format!(
                    "make it executable in the image (chmod +x), or run its interpreter: {}",
                    command(known)
                ),
                look,
            ],
        )
    } else if has(&["port is already allocated", "address already in use"]) {
        (
            "could not start: a port it publishes is taken",
            vec![
                "see who has it: ss -ltnp, ONGGI ps --filter publish=PORT".to_owned(),
                "publish another one (-p OTHER:PORT), or let the engine choose (-p PORT)"
                    .to_owned(),
            ],
        )
    } else if has(&["bind source path does not exist", "bind source", "mount"]) {
        (
            "could not start: something it mounts is not there or cannot be mounted",
            vec![
                "check the paths of -v and --mount: ONGGI inspect -f '{{json .HostConfig.Binds}} {{json .HostConfig.Mounts}}' NAME".to_owned(),
            ],
        )
    } else if has(&["network"]) {
        (
            "could not start: its network is not there or cannot be joined",
            vec!["ONGGI network ls".to_owned()],
        )
    } else {
        ("could not start", Vec::new())
    };
    Verdict {
        what: what.to_owned(),
        facts: vec![format!("the daemon says: {error}")],
        advice,
        speaks: false,
    }
}

/// It ran and ended.
fn ended(known: &Known) -> Verdict {
    let state = &known.container["State"];
    let code = code_of(known);
    let error = text(state, &["Error"]);
    if state["OOMKilled"] == true {
        return Verdict {
            what: match code {
                137 => "was killed for want of memory (exit code 137)".to_owned(),
                _ => format!("lost a process for want of memory, and ended with exit code {code}"),
            },
            facts: out_of_memory(known),
            advice: vec![
                more_memory(known),
                "or find out what takes so much: ONGGI stats NAME while it runs".to_owned(),
            ],
            speaks: true,
        };
    }
    if !error.is_empty() {
        if text(state, &["StartedAt"]).starts_with("0001") || matches!(code, 126..=128) {
            return failed_start(known, error);
        }
        let says = format!("the daemon says: {error}");
        if error.contains("the monitor of the container was killed") {
            return Verdict {
                what: format!(
                    "was ended because the process that watches over it was killed (exit code {code})"
                ),
                facts: vec![says, "a container never runs unwatched".to_owned()],
                advice: vec![
                    "somebody on this machine killed onggi-monitor, or the machine ran out of memory: dmesg | grep -i 'killed process'".to_owned(),
                    "ONGGI start NAME".to_owned(),
                ],
                speaks: true,
            };
        }
        if error.contains("the machine stopped while the container ran") {
            return Verdict {
                what: "ended with the machine, which stopped under it".to_owned(),
                facts: vec![says],
                advice: vec![
                    "for containers that must come back: ONGGI update --restart=unless-stopped NAME"
                        .to_owned(),
                ],
                speaks: true,
            };
        }
        return Verdict {
            what: format!("ended with exit code {code}"),
            facts: vec![says],
            advice: Vec::new(),
            speaks: true,
        };
    }
    if let Some(facts) = sent_by_health(known) {
        return Verdict {
            what: format!("was stopped because its health check failed (exit code {code})"),
            facts,
            advice: vec!["ONGGI start NAME".to_owned()],
            speaks: true,
        };
    }
    if let Some(verdict) = asked(known, code) {
        return verdict;
    }
    let speaks = true;
    match code {
        0 => Verdict {
            what: "came to its end by itself, successfully (exit code 0)".to_owned(),
            facts: vec![format!("its command has nothing more to do: {}", command(known))],
            advice: vec![
                "a container lives as long as its first process: a service must stay in the foreground".to_owned(),
            ],
            speaks,
        },
        126 => Verdict {
            what: "ended because its shell could not execute a command (exit code 126)".to_owned(),
            facts: vec![format!("command: {}", command(known))],
            advice: vec!["make the file executable (chmod +x), or name its interpreter".to_owned()],
            speaks,
        },
        127 => Verdict {
            what: "ended because its shell did not find a command (exit code 127)".to_owned(),
            facts: vec![format!("command: {}", command(known))],
            advice: vec![
                "check the spelling and the PATH: ONGGI inspect -f '{{json .Config.Env}}' NAME".to_owned(),
            ],
            speaks,
        },
        137 => Verdict {
            what: "was killed with SIGKILL (exit code 137)".to_owned(),
            facts: vec![
                "nobody asked the daemon for it, and it was not over a limit of its own".to_owned(),
            ],
            advice: vec![
                "somebody on this machine sent it, or the machine itself ran out of memory: dmesg | grep -i 'killed process'".to_owned(),
            ],
            speaks,
        },
        130 | 143 | 129 | 131 => Verdict {
            what: format!("was ended by {} (exit code {code})", signal_name(code - 128)),
            facts: vec!["nobody asked the daemon for it: the signal came from inside, or from this machine".to_owned()],
            advice: Vec::new(),
            speaks,
        },
        255 if known.events.iter().all(|event| event.action != "die") => Verdict {
            what: "ended with exit code 255".to_owned(),
            facts: vec!["nobody saw it end: the daemon or the machine went down under it, or it returned -1".to_owned()],
            advice: vec!["for containers that must come back: ONGGI update --restart=unless-stopped NAME".to_owned()],
            speaks,
        },
        code => crashed(known, code),
    }
}

fn crashed(known: &Known, code: i64) -> Verdict {
    let crash = CRASHES.iter().find(|(number, ..)| *number == code - 128);
    let Some((_, name, about)) = crash else {
        return Verdict {
            what: format!("failed by itself (exit code {code})"),
            facts: vec![format!("the code is the program's own: {}", command(known))],
            advice: vec![
                "what it wrote mostly tells why; all of it: ONGGI logs NAME".to_owned(),
                "to look around in what it left: ONGGI diff NAME".to_owned(),
            ],
            speaks: true,
        };
    };
    let mut advice = vec!["this is a fault in the program, or in a library it uses".to_owned()];
    match *name {
        "SIGBUS" => advice.insert(0, "give it more shared memory (--shm-size)".to_owned()),
        "SIGILL" => advice.insert(0, "use an image built for an older CPU".to_owned()),
        _ => {}
    }
    Verdict {
        what: format!("crashed with {name} (exit code {code})"),
        facts: vec![(*about).to_owned()],
        advice,
        speaks: true,
    }
}

/// Somebody asked the daemon to end it.
fn asked(known: &Known, code: i64) -> Option<Verdict> {
    let sent: Vec<(i64, i64)> = known
        .events
        .iter()
        .filter(|event| event.action == "kill")
        .filter_map(|event| Some((signal(event)?, event.time_nano)))
        .collect();
    let stopped = known.events.iter().any(|event| event.action == "stop");
    let by_daemon = known.events.iter().any(|event| {
        let reason = event.actor.attributes.get("reason");
        event.action == "kill" && reason.is_some_and(|reason| reason == "daemon")
    });
    let ((first, asked), (last, killed)) = (*sent.first()?, *sent.last()?);
    if code == 137 && sent.len() > 1 && last == 9 {
        let waited = (killed - asked + 500_000_000) / 1_000_000_000;
        return Some(Verdict {
            what: "was stopped, and did not go by itself (exit code 137)".to_owned(),
            facts: vec![format!(
                "it was sent {} and, when it still ran {waited} second{} later, SIGKILL",
                signal_name(first),
                if waited == 1 { "" } else { "s" }
            )],
            advice: vec![
                "a first process ignores signals it does not handle, and a shell passes none on: use --init, or begin a script's last command with exec".to_owned(),
                "if it needs another signal or more time: --stop-signal, --stop-timeout".to_owned(),
            ],
            speaks: true,
        });
    }
    if by_daemon {
        return Some(Verdict {
            what: format!("was stopped with the daemon (exit code {code})"),
            facts: vec![format!(
                "the daemon stopped, and live-restore is off: it sent {}",
                signal_name(first)
            )],
            advice: vec![
                "ONGGI start NAME".to_owned(),
                "for containers that run on without the daemon: live-restore in its configuration, which is the default"
                    .to_owned(),
            ],
            speaks: false,
        });
    }
    if stopped {
        return Some(Verdict {
            what: format!("was stopped on request (exit code {code})"),
            facts: vec![format!("it was sent {} and ended", signal_name(first))],
            advice: vec!["ONGGI start NAME".to_owned()],
            speaks: code != 0 && code != 128 + first,
        });
    }
    (code == 128 + last).then(|| Verdict {
        what: format!(
            "was killed on request with {} (exit code {code})",
            signal_name(last)
        ),
        facts: vec![
            "somebody asked the daemon: kill, rm -f, or a program that uses the API".to_owned(),
        ],
        advice: vec!["ONGGI start NAME".to_owned()],
        speaks: true,
    })
}

fn signal(event: &Message) -> Option<i64> {
    event.actor.attributes.get("signal")?.parse().ok()
}

/// The policy gave up.
fn exhausted(known: &Known, verdict: &mut Verdict) {
    let policy = &known.container["HostConfig"]["RestartPolicy"];
    let most = policy["MaximumRetryCount"].as_i64().unwrap_or(0);
    let count = known.container["RestartCount"].as_i64().unwrap_or(0);
    if text(policy, &["Name"]) == "on-failure" && most > 0 && count >= most {
        verdict.facts.push(format!(
            "it was started again {most} times, and failed each time"
        ));
    }
}

/// Who fell to the memory killer, and how much it was.
fn out_of_memory(known: &Known) -> Vec<String> {
    let oom = &known.container["State"]["OOM"];
    let mut facts = Vec::new();
    let pid = oom["Pid"].as_i64();
    match (text(oom, &["Victim"]), pid) {
        ("", _) | (_, None) => facts.push(format!("the kernel ended it{}", limit(known))),
        (victim, Some(pid)) => facts.push(format!(
            "the kernel ended its process {victim} (pid {pid}){}",
            match text(oom, &["Scope"]) {
                "parent" => ": the limit of a control group above it was reached".to_owned(),
                "machine" => ": the machine itself was out of memory".to_owned(),
                _ => limit(known),
            }
        )),
    }
    if let Some(peak) = oom["Peak"].as_i64() {
        facts.push(format!("the most it took: {}", bytes_size(peak as f64)));
    }
    facts
}

/// ` at its limit of 64MiB`.
fn limit(known: &Known) -> String {
    match known.container["HostConfig"]["Memory"].as_i64() {
        Some(limit @ 1..) => format!(" at its limit of {}", bytes_size(limit as f64)),
        _ => ": it has no limit, so the machine itself was out of memory".to_owned(),
    }
}

fn more_memory(known: &Known) -> String {
    let host = &known.container["HostConfig"];
    match host["Memory"].as_i64() {
        Some(limit @ 1..) => {
            let more = limit.saturating_mul(2);
            let swap = match host["MemorySwap"].as_i64() {
                Some(swap @ 1..) => format!(" --memory-swap {}", short_bytes(swap.max(more))),
                _ => String::new(),
            };
            format!(
                "give it more: ONGGI update --memory {}{swap} NAME",
                short_bytes(more)
            )
        }
        _ => "set a limit (--memory), so that it cannot take the machine down with it".to_owned(),
    }
}

/// Bytes as `--memory` takes them.
fn short_bytes(bytes: i64) -> String {
    for (unit, size) in [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)] {
        if bytes % size == 0 {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}

fn signal_name(number: i64) -> String {
    let known = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (9, "SIGKILL"),
        (10, "SIGUSR1"),
        (12, "SIGUSR2"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
    ];
    match known.iter().find(|(n, _)| *n == number) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("signal {number}"),
    }
}

fn shell_words(words: &[String]) -> String {
    words
        .iter()
        .map(|word| crate::text::shell_word(word))
        .collect::<Vec<_>>()
        .join(" ")
}
