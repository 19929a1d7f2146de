//! `top`: the processes of a container as the host's ps(1) shows them.

use std::process::Stdio;
use std::time::Duration;

use onggi_api::container::TopResponse;
use onggi_model::{ErrorKind, Fault as _};

use super::pause::{not_running, restarting};
use super::record::Status;
use crate::Engine;
use crate::error::{Error, Result};

/// What ps(1) is asked for when the client says nothing.
const USUAL: &str = "-ef";
/// How long ps(1) may take: a process stuck in the kernel can hold up whoever reads its command line.
const LIMIT: Duration = Duration::from_secs(30);

impl Engine {
    /// The processes of a container, as `ps` prints them with these arguments.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it does not run; `InvalidParameter` and `Internal` in the words of `ps`.
    pub async fn container_top(&self, id: &str, arguments: &str) -> Result<TopResponse> {
        let arguments = match arguments {
            "" => USUAL,
            given => given,
        };
        check(arguments)?;
        let container = self.inner.containers.find(id)?;
        let record = container.record();
        match record.state.status {
            Status::Running | Status::Paused => {}
            Status::Restarting => return Err(restarting(&container)),
            _ => return Err(not_running(&container)),
        }
        let pids = match self.with_group(&record, |group| group.pids()).await {
            Err(fault) if fault.kind() == ErrorKind::NotFound => {
                return Err(not_running(&container));
            }
            other => other?,
        };
        let words: Vec<&str> = arguments.split(' ').collect();
        let list = pids.iter().map(u32::to_string).collect::<Vec<_>>();
        let only = format!("-q{}", list.join(","));
        let output = match ps(words.iter().copied().chain([only.as_str()])).await {
            Ok(output) => output,
            // Some arguments (`f`) do not go with `-q`: then all processes are listed, and ours are picked.
            Err(_) => ps(words.into_iter()).await?,
        };
        let answer = parse(&output, &pids)?;
        self.container_event(&record, "top", []);
        Ok(answer)
    }
}

/// `-o pid=NAME` would rename the column that we pick processes by.
fn check(arguments: &str) -> Result<()> {
    let mut rest = arguments;
    while let Some((before, after)) = rest.split_once('=') {
        let key = before.rsplit([' ', '\t']).next().unwrap_or_default();
        let value = after.trim_start();
        if value.starts_with("PID") && key != "pid" && before.contains([' ', '\t']) {
            let value = value.split_whitespace().next().unwrap_or_default();
            return Err(Error::internal(format!(
                "specifying \"{key}={value}\" is not allowed"
            )));
        }
        rest = after;
    }
    Ok(())
}

async fn ps(arguments: impl Iterator<Item = &str>) -> Result<String> {
    let child = tokio::process::Command::new("ps")
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LIMIT, child)
        .await
        .map_err(|_| Error::internal("ps: no answer"))?
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::internal("ps: executable file not found in $PATH: install procps")
            }
            _ => Error::io("ps", e),
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Error::internal(
        match complaint.lines().next().unwrap_or_default() {
            "" => format!("ps: {}", output.status),
            first => first.to_owned(),
        },
    ))
}

/// Picks the lines of these processes, and of the threads that `ps` lists below them.
fn parse(output: &str, pids: &[u32]) -> Result<TopResponse> {
    let mut lines = output.lines();
    let titles: Vec<String> = lines
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    let column = titles
        .iter()
        .position(|title| title == "PID")
        .ok_or_else(|| Error::internal("Couldn't find PID field in ps output"))?;
    let mut processes = Vec::new();
    let mut ours = false;
    for line in lines.filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let pid = words.get(column).copied().unwrap_or_default();
        // `-` stands where a thread has its process's number.
        if pid != "-" {
            let pid: u32 = pid
                .parse()
                .map_err(|_| Error::internal(format!("Unexpected pid '{pid}'")))?;
            ours = pids.contains(&pid);
        }
        if ours {
            processes.push(row(&words, titles.len()));
        }
    }
    Ok(TopResponse {
        processes: Some(processes),
        titles: Some(titles),
    })
}

/// As many cells as titles: the last one has all the rest.
fn row(words: &[&str], columns: usize) -> Vec<String> {
    let whole = columns.saturating_sub(1).min(words.len());
    let (cells, rest) = words.split_at(whole);
    let mut row: Vec<String> = cells.iter().map(|&cell| cell.to_owned()).collect();
    row.push(rest.join(" "));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_our_processes_are_picked() {
        let output =
            "PID TTY  COMMAND\n 7 ?  sh -c a  b\n - -  thread\n 8 ?  other\n - -  other's thread\n";
        let answer = parse(output, &[7]).expect("parses");
        assert_eq!(answer.titles.expect("titles"), ["PID", "TTY", "COMMAND"]);
        assert_eq!(
            answer.processes.expect("processes"),
            [vec!["7", "?", "sh -c a b"], vec!["-", "-", "thread"]]
        );
        assert!(parse("USER COMMAND\nroot sh\n", &[7]).is_err());
        assert!(parse("PID\nseven\n", &[7]).is_err());
    }

    #[test]
    fn the_pid_column_keeps_its_name() {
        for good in [
            "-ef",
            "aux",
            "-o pid=PID",
            "-o user,pid,cmd",
            "-o pid,comm=CMD",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["-o ppid=PID", "-o user= PID", "-ax -o comm=PIDS"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
