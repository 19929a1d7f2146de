//! Command lines nobody thought of: each is understood or refused with a text. `cargo xtask fuzz` gives it minutes.

use onggi_testkit::Fuzz;

use crate::args::{Positionals, parse};
use crate::command::{Found, find};
use crate::container::request;
use crate::program::GLOBALS;
use crate::settings::Environment;

/// Words are separated by line ends, because they may hold spaces.
const LINES: &[&str] = &[
    "run\n--rm\n-it\n-p\n127.0.0.1:8080-8090:80/tcp\n-p\n[::1]:86:86\n-v\n/a:/b:ro\n-e\nA=1\nbusybox\nsh\n-c\ntrue",
    "create\n--mount\ntype=bind,src=/x,dst=/y,ro,bind-propagation=rshared\n--tmpfs\n/t:size=1m\n--ulimit\nnofile=1:2\nx",
    "run\n-m\n512m\n--memory-swap\n-1\n--cpus\n1.5\n--gpus\n\"device=0,1\",\"capabilities=compute\"\n--device\n/dev/x:/y:r\nx",
    "run\n--network\nname=foo,alias=a,ip=10.0.0.2,mac-address=02:00:00:00:00:01\n--link\na:b\n--add-host\na=[::1]\nx",
    "run\n--blkio-weight-device\n/dev/a:200\n--device-read-bps\n/dev/a:1mb\n--device-cgroup-rule\nc 1:* rwm\nx",
    "run\n--health-cmd\ntrue\n--health-interval\n1m30s\n--restart\non-failure:3\n--stop-timeout\n7\n--shm-size=1g\nx",
    "-H\nunix:///x\n--tls\ncontainer\nls\n-a\n--no-trunc\n--filter\nstatus=running\n--format\n{{json .}}",
    "update\n--cpus=.5\n--pids-limit\n-1\nx",
    "exec\n-itu\n1:2\n--detach-keys\nctrl-p,ctrl-q\nx\nsh",
    "logs\n--since\n1h2m\n--until\n2026-01-02T03:04:05Z\n-n\n10\nx",
    "system\ndf\n-v",
    "cp\n-\nx:/y",
    "completion\nbash",
];

#[test]
fn fuzz_command_lines() {
    let seeds: Vec<&[u8]> = LINES.iter().map(|line| line.as_bytes()).collect();
    let fuzz = Fuzz {
        seeds: &seeds,
        words: &[
            "\n",
            "\n--",
            "\n-",
            "=",
            ":",
            ",",
            "\n--mount\n",
            "\n-p\n",
            "\n-v\n",
            "type=",
            "src=",
            "\"",
            "/",
            "-",
            "[",
            "]",
            "\n--gpus\n",
            "\n--network\n",
            "\n--ulimit\n",
            "container:",
            "host",
            "1e9",
            "k",
            "µs",
            "\n--help",
        ],
    };
    let environment = Environment::new();
    fuzz.run(|input| {
        let text = String::from_utf8_lossy(input);
        let line: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let Ok(globals) = parse::parse(&[GLOBALS], Positionals::Last, &line) else {
            return;
        };
        let Found::Command(command, path, used) = find(&globals.args) else {
            return;
        };
        let arguments = &globals.args[used..];
        let Ok(matches) = parse::parse(command.flags, command.positionals, arguments) else {
            return;
        };
        let _ = command.check("onggi", &path, matches.args.len());
        if matches!(path.as_str(), "run" | "create") && !matches.args.is_empty() {
            let _ = request::create_request(&matches, &environment, onggi_client::NEWEST);
        }
    });
}
