//! `system df`: what takes how much room on disk.

use onggi_api::container::Summary as Container;
use onggi_api::image::Summary as Image;
use onggi_gotmpl::{Data, Template};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::kinds::Documents;
use crate::Cli;
use crate::args::{Flag, Matches, switch, value};
use crate::columns::usage::{self, Kind};
use crate::columns::{container, image};
use crate::command::{Command, command};
use crate::container::ls::FORMAT_HELP;
use crate::error::{Error, Result};
use crate::format::List;
use crate::format::rows::{Column, Options};

const FLAGS: &[Flag] = &[
    value(None, "format", "string", FORMAT_HELP),
    switch(Some('v'), "verbose", "Show every single thing"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Show what takes how much room on disk",
    flags: &[FLAGS],
    ..command(&["system df"], run)
};

/// What the daemon told, in one form for all versions of the API.
struct Usage {
    kinds: [Kind; 4],
    images: Vec<Image>,
    containers: Vec<Container>,
    volumes: Vec<Value>,
    cache: Vec<Value>,
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    let answer = cli.block_on(client.disk_usage())??;
    let usage = read(&answer)?;
    let format = matches.text("format");
    let text = if matches.on("verbose") {
        long(&usage, format)?
    } else {
        table(
            usage::KINDS,
            "*formatter.diskUsageImagesContext",
            usage::KINDS_DEFAULT,
            format,
            &usage.kinds,
        )?
    };
    cli.print(&text)?;
    Ok(0)
}

fn read(answer: &Value) -> Result<Usage> {
    let newer = [
        "ImageUsage",
        "ContainerUsage",
        "VolumeUsage",
        "BuildCacheUsage",
    ];
    if newer.iter().any(|key| answer.get(key).is_some()) {
        let [images, containers, volumes, cache] = newer.map(|key| &answer[key]);
        return Ok(Usage {
            kinds: [
                told("Images", images, true),
                told("Containers", containers, true),
                told("Local Volumes", volumes, true),
                told("Build Cache", cache, false),
            ],
            images: list(&images["Items"])?,
            containers: list(&containers["Items"])?,
            volumes: list(&volumes["Items"])?,
            cache: list(&cache["Items"])?,
        });
    }
    let images: Vec<Image> = list(&answer["Images"])?;
    let containers: Vec<Container> = list(&answer["Containers"])?;
    let volumes: Vec<Value> = list(&answer["Volumes"])?;
    let cache: Vec<Value> = list(&answer["BuildCache"])?;
    let layers = answer["LayersSize"].as_i64().unwrap_or(0);
    let kinds = [
        of_images(&images, layers),
        of_containers(&containers),
        of_volumes(&volumes),
        of_cache(&cache),
    ];
    Ok(Usage {
        kinds,
        images,
        containers,
        volumes,
        cache,
    })
}

/// The numbers of a kind, as daemons of API 1.52 and newer count them.
fn told(name: &'static str, usage: &Value, share: bool) -> Kind {
    let number = |key: &str| usage[key].as_i64().unwrap_or(0);
    Kind {
        name,
        total: number("TotalCount"),
        active: number("ActiveCount"),
        size: number("TotalSize"),
        reclaimable: number("Reclaimable"),
        share,
    }
}

fn list<T: DeserializeOwned>(items: &Value) -> Result<Vec<T>> {
    let items: Option<Vec<T>> = serde_json::from_value(items.clone())
        .map_err(|error| Error::new(format!("cannot read the daemon's answer: {error}")))?;
    Ok(items.unwrap_or_default())
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn of_images(images: &[Image], layers: i64) -> Kind {
    let used: Vec<&Image> = images.iter().filter(|image| image.containers > 0).collect();
    // What used images share among each other is counted for none of them, as Docker does.
    let kept: i64 = used
        .iter()
        .filter(|image| image.size != -1 && image.shared_size != -1)
        .map(|image| image.size - image.shared_size)
        .sum();
    Kind {
        name: "Images",
        total: count(images.len()),
        active: count(used.len()),
        size: layers,
        reclaimable: layers - kept,
        share: true,
    }
}

fn of_containers(containers: &[Container]) -> Kind {
    let size = |container: &&Container| container.size_rw;
    let (active, idle): (Vec<&Container>, Vec<&Container>) =
        containers.iter().partition(|container| {
            matches!(
                container.state.as_str(),
                "running" | "paused" | "restarting"
            )
        });
    let free: i64 = idle.iter().map(size).sum();
    Kind {
        name: "Containers",
        total: count(containers.len()),
        active: count(active.len()),
        size: free + active.iter().map(size).sum::<i64>(),
        reclaimable: free,
        share: true,
    }
}

fn of_volumes(volumes: &[Value]) -> Kind {
    let size = |volume: &Value| volume["UsageData"]["Size"].as_i64().unwrap_or(-1).max(0);
    let links = |volume: &Value| volume["UsageData"]["RefCount"].as_i64().unwrap_or(-1);
    Kind {
        name: "Local Volumes",
        total: count(volumes.len()),
        active: count(volumes.iter().filter(|volume| links(volume) > 0).count()),
        size: volumes.iter().map(size).sum(),
        reclaimable: volumes
            .iter()
            .filter(|volume| links(volume) == 0)
            .map(size)
            .sum(),
        share: true,
    }
}

fn of_cache(cache: &[Value]) -> Kind {
    let own = || cache.iter().filter(|record| record["Shared"] != true);
    let size = |record: &Value| record["Size"].as_i64().unwrap_or(0);
    Kind {
        name: "Build Cache",
        total: count(cache.len()),
        active: count(
            cache
                .iter()
                .filter(|record| record["InUse"] == true)
                .count(),
        ),
        size: own().map(size).sum(),
        reclaimable: own()
            .filter(|record| record["InUse"] != true)
            .map(size)
            .sum(),
        share: false,
    }
}

fn table<R: Clone + Send + Sync>(
    columns: &'static [Column<R>],
    type_name: &'static str,
    default: &str,
    format: &str,
    rows: &[R],
) -> Result<String> {
    let options = Options {
        no_trunc: format == "json",
        ..Options::default()
    };
    let list = List {
        columns,
        type_name,
        default: default.to_owned(),
        raw: None,
        options: &options,
    };
    list.render(format, rows)
}

/// Every single thing: tables by kind, or one document for `json` and templates.
fn long(usage: &Usage, format: &str) -> Result<String> {
    let images: Vec<image::Row> = usage
        .images
        .iter()
        .filter_map(|image| image::rows(image, false).into_iter().next())
        .map(|row| image::Row {
            digest: String::new(),
            ..row
        })
        .collect();
    let containers: Vec<Container> = usage
        .containers
        .iter()
        .cloned()
        .map(|container| Container {
            // Only what is its own.
            size_root_fs: 0,
            ..container
        })
        .collect();
    let show = |format: &str| -> Result<[String; 4]> {
        Ok([
            table(
                image::COLUMNS,
                "*formatter.imageContext",
                usage::IMAGES_DEFAULT,
                format,
                &images,
            )?,
            table(
                container::COLUMNS,
                "*formatter.ContainerContext",
                usage::CONTAINERS_DEFAULT,
                format,
                &containers,
            )?,
            table(
                usage::VOLUMES,
                "*formatter.volumeContext",
                usage::VOLUMES_DEFAULT,
                format,
                &usage.volumes,
            )?,
            table(
                usage::CACHE,
                "*formatter.buildCacheContext",
                usage::CACHE_DEFAULT,
                format,
                &usage.cache,
            )?,
        ])
    };
    if matches!(format, "" | "table") {
        let [images, containers, volumes, cache] = show("")?;
        let size = onggi_model::units::human_size(usage.kinds[3].size as f64);
        return Ok(format!(
            "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\nLocal Volumes space usage:\n\n{volumes}\nBuild cache usage: {size}\n\n{cache}"
        ));
    }
    let [images, containers, volumes, cache] =
        show("json")?.map(|lines| lines.lines().collect::<Vec<_>>().join(","));
    let document = format!(
        "{{\"Images\":[{images}],\"Containers\":[{containers}],\"Volumes\":[{volumes}],\"BuildCache\":[{cache}]}}"
    );
    if format == "json" {
        return Ok(document);
    }
    let template = Template::parse(format)
        .map_err(|error| Error::new(format!("template parsing error: {error}")))?;
    let document: Value =
        serde_json::from_str(&document).unwrap_or_else(|error| json!(error.to_string()));
    template
        .render(&Data::document(&document, &Documents))
        .map_err(|error| Error::new(format!("template parsing error: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Value {
        json!({
            "LayersSize": 1000,
            "Images": [
                {"Containers": 1, "Size": 600, "SharedSize": 200},
                {"Containers": 0, "Size": 400, "SharedSize": 200},
            ],
            "Containers": [
                {"State": "running", "SizeRw": 30},
                {"State": "exited", "SizeRw": 10},
            ],
            "Volumes": [
                {"Name": "a", "UsageData": {"RefCount": 1, "Size": 7}},
                {"Name": "b", "UsageData": {"RefCount": 0, "Size": 3}},
            ],
            "BuildCache": [
                {"ID": "x", "InUse": true, "Shared": false, "Size": 5},
                {"ID": "y", "InUse": false, "Shared": false, "Size": 6},
                {"ID": "z", "InUse": false, "Shared": true, "Size": 7},
            ],
        })
    }

    #[test]
    fn old_daemons_are_counted_here() {
        let usage = read(&answer()).unwrap();
        let text = table(
            usage::KINDS,
            "",
            usage::KINDS_DEFAULT,
            "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}",
            &usage.kinds,
        );
        assert_eq!(
            text.unwrap(),
            "Images 2 1 1kB 600B (60%)\nContainers 2 1 40B 10B (25%)\nLocal Volumes 2 1 10B 3B (30%)\nBuild Cache 3 1 11B 6B\n"
        );
    }

    #[test]
    fn new_daemons_have_counted() {
        let answer = json!({
            "ImageUsage": {"TotalCount": 3, "ActiveCount": 1, "TotalSize": 50, "Reclaimable": 5},
            "VolumeUsage": {"Items": [{"Name": "a"}], "TotalCount": 1},
        });
        let usage = read(&answer).unwrap();
        assert_eq!((usage.kinds[0].total, usage.kinds[0].size), (3, 50));
        assert_eq!((usage.kinds[2].total, usage.volumes.len()), (1, 1));
        assert_eq!(usage.kinds[1].total, 0);
    }
}
