//! One volume of many containers.

use crate::{cli, daemon, names, refuses, says};
use anyhow::{Result, ensure};
use onggi_testkit::{LIMIT, wait_until};

const CONTAINERS: usize = 20;

#[test]
fn twenty_containers_write_into_one_volume() -> Result<()> {
    let daemon = daemon()?;
    let write = "i=0; while [ $i -lt 50 ]; do echo $1 >> /v/all; i=$((i+1)); done; touch /v/done-$1; sleep 1000";
    let created: Vec<Result<String>> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..CONTAINERS)
            .map(|n| {
                let daemon = &daemon;
                scope.spawn(move || {
                    let n = n.to_string();
                    cli(
                        daemon,
                        &[
                            "run", "-d", "-v", "one:/v", "busybox", "sh", "-c", write, "sh", &n,
                        ],
                    )
                })
            })
            .collect();
        makers
            .into_iter()
            .map(|maker| {
                maker
                    .join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")))
            })
            .collect()
    });
    let ids: Vec<String> = created.into_iter().collect::<Result<_>>()?;
    let place = daemon.data_root().join("volumes/one/_data");
    wait_until("all of them to write", LIMIT, || {
        let done = (0..CONTAINERS).all(|n| place.join(format!("done-{n}")).exists());
        done.then_some(())
    })?;
    let counted = says(
        &daemon,
        &["-v", "one:/v:ro"],
        "sort /v/all | uniq -c | awk '$1 == 50' | wc -l; wc -l < /v/all",
    )?;
    ensure!(
        counted == format!("{CONTAINERS}\n{}", CONTAINERS * 50),
        "{counted}"
    );
    ensure!(names(&daemon)? == ["one"]);
    let usage = daemon.get("/system/df?type=volume")?.ok()?.json()?;
    let volumes = usage["VolumeUsage"]["Items"]
        .as_array()
        .or(usage["Volumes"].as_array());
    let used = volumes
        .and_then(|v| v.first())
        .map(|v| v["UsageData"].clone())
        .unwrap_or_default();
    let size = place.join("all").metadata()?.len();
    ensure!(
        used["RefCount"] == CONTAINERS && used["Size"] == size,
        "{usage}"
    );
    let answer = daemon.delete("/volumes/one")?;
    ensure!(answer.status == 409, "{}", answer.text());
    let text = answer.text();
    ensure!(ids.iter().all(|id| text.contains(id.as_str())), "{text}");
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    cli(&daemon, &[&["rm", "-f"], &ids[1..]].concat())?;
    refuses(&daemon, &["volume", "rm", "one"], ids[0])?;
    cli(&daemon, &["rm", "-f", ids[0]])?;
    cli(&daemon, &["volume", "rm", "one"])?;
    daemon.clean()
}
