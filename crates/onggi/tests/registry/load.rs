//! Many clients push, pull, delete and mount while collection runs: every tag pulls whole afterwards, memory is flat.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Namespace, OnggiRegistry};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::crash::whole;
use crate::{Answers, is_full, sha256};

const CLIENTS: usize = 16;
/// How long the long run takes.
const RUN: Duration = Duration::from_secs(300);
/// Kilobytes the registry may take with so many clients.
const MOST: u64 = 96 * 1024;

/// Kilobytes that are the process's own: what is in the page cache is not.
fn memory(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .context("RssAnon")?;
    line.split_whitespace()
        .nth(1)
        .context("kB")?
        .parse()
        .context("kB")
}

fn client(registry: &OnggiRegistry<'_>, number: usize, round: u64) -> Result<bool> {
    let name = format!("repo{}", number % 4);
    let tag = format!("c{number}-{}", round % 5);
    let shared = format!("shared {}", round % 7).repeat(3000).into_bytes();
    let own = format!("own {number} {round}").repeat(5000).into_bytes();
    if registry.image(&name, &tag, &[&shared, &own]).is_err() {
        // A blob went between its push and its manifest: as if the push had been slower than the grace.
        return Ok(false);
    }
    let pulled = registry.get(&format!("/v2/{name}/manifests/{tag}"))?;
    ensure!(pulled.status == 200, "{name}:{tag}: {}", pulled.text());
    for blob in [&shared, &own] {
        let answer = registry.get(&format!("/v2/{name}/blobs/{}", sha256(blob)))?;
        ensure!(
            answer.status == 200 && answer.body == *blob,
            "{name}:{tag}: {}",
            answer.status
        );
    }
    if round.is_multiple_of(3) {
        let other = format!("repo{}", (number + 1) % 4);
        let mount = format!(
            "/v2/{other}/blobs/uploads/?mount={}&from={name}",
            sha256(&shared)
        );
        let answer = registry.post(&mount)?;
        ensure!(matches!(answer.status, 201 | 202), "{}", answer.text());
    }
    if round.is_multiple_of(4) {
        let answer = registry.delete(&format!("/v2/{name}/manifests/{tag}"))?;
        ensure!(answer.status == 202, "{}", answer.text());
    }
    Ok(true)
}

#[test]
fn sixteen_clients_beside_collection() -> Result<()> {
    let namespace = Namespace::new()?;
    let keys =
        json!({"collect": {"interval": "1s", "grace": "5s", "untagged": "5s", "uploads": "10s"}});
    let mut registry = OnggiRegistry::start(&namespace, 5000, &keys)?;
    let pid = registry.pid().context("pid")?;
    // By rounds, so that a slow machine does the same; by time for the long run.
    let (rounds, until) = match is_full() {
        true => (u64::MAX, Some(Instant::now() + RUN)),
        false => (12, None),
    };
    let pushed = AtomicU64::new(0);
    let early = std::thread::scope(|scope| -> Result<u64> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (registry, pushed) = (&registry, &pushed);
                scope.spawn(move || -> Result<()> {
                    let mut round = 0;
                    while round < rounds && until.is_none_or(|until| Instant::now() < until) {
                        pushed.fetch_add(
                            u64::from(client(registry, number, round)?),
                            Ordering::Relaxed,
                        );
                        round += 1;
                    }
                    Ok(())
                })
            })
            .collect();
        // When everything has been done a few times, by every thread the registry has.
        let warm = (CLIENTS * 4) as u64;
        let third = until.map(|until| until - RUN * 2 / 3);
        onggi_testkit::wait_until("some pushes", RUN, || {
            let pushed = pushed.load(Ordering::Relaxed) >= warm;
            let passed = third.is_none_or(|third| Instant::now() >= third);
            ((pushed && passed) || clients.iter().any(|c| c.is_finished())).then_some(())
        })?;
        let early = memory(pid)?;
        for client in clients {
            client
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok(early)
    });
    let early = early.with_context(|| registry.log())?;
    let late = memory(pid)?;
    // A leak of one request's buffers in each round would be far more, in either run.
    let more = if is_full() { 16 } else { 64 };
    ensure!(
        late < early + more * 1024 && late < MOST,
        "{early} kB grew to {late} kB"
    );
    let mut tags = 0;
    for number in 0..4 {
        tags += whole(&registry, &format!("repo{number}"))?.len();
    }
    ensure!(
        tags > 0 && pushed.load(Ordering::Relaxed) > 0,
        "nothing was pushed"
    );
    // The same after a restart, from the disk alone.
    ensure!(registry.stop()? == 0);
    registry.run()?;
    let mut again = 0;
    for number in 0..4 {
        again += whole(&registry, &format!("repo{number}"))?.len();
    }
    ensure!(again == tags, "{again} of {tags} tags after a restart");
    Ok(())
}
