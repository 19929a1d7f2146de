//! What is asked of registries beside pull and push: all tags, lists for several platforms, searches.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Entry, Image, Layer, Registry, Request};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use crate::everyday::ok;

fn refused(daemon: &Daemon, arguments: &[&str], text: &str) -> Result<()> {
    let output = daemon.cli(arguments)?;
    ensure!(
        output.code == 1 && output.stderr.contains(text),
        "{arguments:?}: {output:?} instead of {text:?}"
    );
    Ok(())
}

/// Another image than busybox, for another machine.
fn other() -> Result<Image> {
    let file = Entry::File("other".to_owned(), 0o644, b"other\n".to_vec());
    let image = Image::busybox()?.layer(Layer::new(&[file])?);
    Ok(image.architecture("arm64"))
}

pub(crate) fn all_tags_are_pulled(daemon: &Daemon) -> Result<()> {
    let registry = Registry::start(daemon.namespace(), 5000)?;
    let name = format!("{}/team/app", registry.address());
    let file = Entry::File("new".to_owned(), 0o644, b"new\n".to_vec());
    let one = registry.push(&Image::busybox()?, "team/app", "v1")?;
    let newer = Image::busybox()?.layer(Layer::new(&[file])?);
    let two = registry.push(&newer, "team/app", "v2")?;
    let lines = |said: &str| -> Vec<String> {
        // How far layers are is told of those that have to come.
        let kept = |line: &&str| !line.contains(": ") || !line.split(':').next().is_some_and(is_id);
        said.lines().filter(kept).map(str::to_owned).collect()
    };
    let said = ok(daemon, &["pull", "-a", &name])?;
    let expected = |status: &str| {
        [
            "v1: Pulling from team/app".to_owned(),
            format!("Digest: {one}"),
            "v2: Pulling from team/app".to_owned(),
            format!("Digest: {two}"),
            format!("Status: {status} for {name}"),
            name.clone(),
        ]
    };
    ensure!(lines(&said) == expected("Downloaded newer image"), "{said}");
    let again = ok(daemon, &["pull", "--all-tags", &name])?;
    ensure!(lines(&again) == expected("Image is up to date"), "{again}");
    let quiet = ok(daemon, &["pull", "-q", "-a", &name])?;
    ensure!(quiet == name, "{quiet}");
    let mut tags: Vec<String> = ok(daemon, &["images", "--format", "{{.Tag}}", &name])?
        .lines()
        .map(str::to_owned)
        .collect();
    tags.sort();
    ensure!(tags == ["v1", "v2"], "{tags:?}");
    ensure!(
        ok(
            daemon,
            &["run", "--rm", &format!("{name}:v2"), "cat", "/new"]
        )? == "new"
    );
    let tagged = format!("{name}:v1");
    refused(
        daemon,
        &["pull", "-a", &tagged],
        "tag can't be used with --all-tags/-a",
    )?;
    let nothing = format!("{}/team/nothing", registry.address());
    refused(
        daemon,
        &["pull", "-a", &nothing],
        &format!(
            "repository {nothing} not found: name unknown: repository name not known to registry"
        ),
    )
}

/// Whether a word is the short digest of a layer.
fn is_id(word: &str) -> bool {
    word.len() == 12 && word.bytes().all(|b| b.is_ascii_hexdigit())
}

pub(crate) fn images_of_several_platforms_get_one_name(daemon: &Daemon) -> Result<()> {
    let registry = Registry::start(daemon.namespace(), 5000)?;
    let host = registry.address();
    let digests = [
        registry.push(&Image::busybox()?, "team/one", "v1")?,
        registry.push(&other()?, "team/two", "v1")?,
    ];
    let (one, two) = (
        &*format!("{host}/team/one:v1"),
        &*format!("{host}/team/two:v1"),
    );
    let list = &*format!("{host}/team/all:v1");
    let create = ["manifest", "create", "--insecure", list, one, two];
    let said = ok(daemon, &create)?;
    ensure!(said == format!("Created manifest list {list}"), "{said}");
    refused(
        daemon,
        &create,
        "refusing to amend an existing manifest list with no --amend flag",
    )?;
    ok(
        daemon,
        &["manifest", "create", "--insecure", "--amend", list, one],
    )?;
    let annotate = ["manifest", "annotate", list, two];
    let says = [
        "--variant",
        "v8",
        "--os-version",
        "1.2",
        "--os-features",
        "a,b",
    ];
    ok(daemon, &[&annotate[..], &says].concat())?;
    ok(
        daemon,
        &[&annotate[..], &["--os", "linux", "--arch", "arm64"]].concat(),
    )?;
    refused(
        daemon,
        &[&annotate[..], &["--arch", "abacus"]].concat(),
        "manifest entry for image has unsupported os/arch combination: /abacus",
    )?;
    let json = |arguments: &[&str]| -> Result<Value> {
        let text = ok(daemon, arguments)?;
        serde_json::from_str(&text).with_context(|| text)
    };
    let check = |document: &Value| {
        let entries = &document["manifests"];
        let platform = &entries[1]["platform"];
        ensure!(
            entries.as_array().is_some_and(|entries| entries.len() == 2)
                && entries[0]["digest"] == *digests[0]
                && entries[1]["digest"] == *digests[1]
                && platform["architecture"] == "arm64"
                && platform["variant"] == "v8"
                && platform["os.version"] == "1.2"
                && platform["os.features"] == serde_json::json!(["a", "b"]),
            "{document}"
        );
        Ok(())
    };
    check(&json(&["manifest", "inspect", list])?)?;
    let single = json(&["manifest", "inspect", list, one])?;
    ensure!(single["layers"].is_array(), "{single}");
    let all = json(&["manifest", "inspect", "--verbose", list])?;
    ensure!(
        all[0]["Ref"] == one && all[1]["Descriptor"]["platform"]["variant"] == "v8",
        "{all}"
    );
    let pushed = ok(daemon, &["manifest", "push", "--insecure", "--purge", list])?;
    let lines: Vec<&str> = pushed.lines().collect();
    let line = |digest: &str| format!("Pushed ref {host}/team/all@{digest} with digest: {digest}");
    ensure!(
        lines.len() == 3 && lines[0] == line(&digests[0]) && lines[1] == line(&digests[1]),
        "{pushed}"
    );
    // The registry has it by that digest, and it is here no more.
    let kind = "application/vnd.docker.distribution.manifest.list.v2+json";
    let path = format!("/v2/team/all/manifests/{}", lines[2]);
    let found = registry.send(&Request::new("GET", &path).header("Accept", kind))?;
    ensure!(found.status == 200, "{}", found.text());
    refused(
        daemon,
        &["manifest", "rm", list],
        &format!("No such manifest: {list}"),
    )?;
    check(&json(&["manifest", "inspect", "--insecure", list])?)?;
    // What everybody pulls is the one for this machine.
    ok(daemon, &["pull", list])?;
    ensure!(ok(daemon, &["run", "--rm", list, "echo", "here"])? == "here");
    let nothing = format!("{host}/team/nothing:v1");
    refused(
        daemon,
        &["manifest", "inspect", "--insecure", &nothing],
        &format!("no such manifest: {nothing}"),
    )?;
    refused(
        daemon,
        &["manifest", "create", "--insecure", &nothing, list],
        &format!("{list} is a manifest list"),
    )
}

/// A registry that knows three repositories, whatever is looked for.
fn searchable(daemon: &Daemon) -> Result<String> {
    let listener = daemon
        .namespace()
        .run(|| TcpListener::bind("127.0.0.1:5000"))??;
    let address = listener.local_addr()?.to_string();
    let found = r#"{"results":[{"name":"few","description":"a\nb","is_official":false,"star_count":2,"is_automated":false},{"name":"most","description":"The long description of a repository that many people like","is_official":true,"star_count":30,"is_automated":false},{"name":"none","description":"","is_official":false,"star_count":0,"is_automated":false}]}"#;
    let answer = move |stream: TcpStream| -> std::io::Result<()> {
        let mut lines = BufReader::new(&stream).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        while lines
            .next()
            .transpose()?
            .is_some_and(|line| !line.is_empty())
        {}
        let (status, body) = match first {
            path if path.contains("/v1/_ping") => ("200 OK", "{}"),
            path if path.contains("q=nothing") => ("404 Not Found", ""),
            path if path.contains("/v1/search?q=box") => ("200 OK", found),
            // TLS is not spoken here.
            _ => ("400 Bad Request", ""),
        };
        let length = body.len();
        write!(
            &stream,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who hangs up has heard enough.
            let _ = answer(stream);
        }
    });
    Ok(address)
}

pub(crate) fn repositories_are_searched(daemon: &Daemon) -> Result<()> {
    let host = searchable(daemon)?;
    let term = &*format!("{host}/box");
    let names = |more: &[&str]| {
        ok(
            daemon,
            &[&["search", "--format", "{{.Name}}"], more, &[term]].concat(),
        )
    };
    ensure!(names(&[])? == "few\nmost\nnone");
    ensure!(names(&["--filter", "stars=2"])? == "few\nmost");
    ensure!(names(&["-f", "is-official=true"])? == "most");
    ensure!(names(&["--limit", "7"])? == "few\nmost\nnone");
    let table = ok(daemon, &["search", term])?;
    let lines: Vec<&str> = table.lines().collect();
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    ensure!(
        words(lines[0]) == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
            && lines[2].contains("The long description of a repository that ma\u{2026}")
            && lines[2].ends_with("[OK]")
            && words(lines[1]) == ["few", "a", "b", "2"],
        "{table}"
    );
    let whole = ok(daemon, &["search", "--no-trunc", term])?;
    ensure!(whole.contains("that many people like"), "{whole}");
    let json = ok(
        daemon,
        &[
            "search",
            "--format",
            "json",
            "--no-trunc",
            "--filter",
            "is-official=true",
            term,
        ],
    )?;
    let json: Value = serde_json::from_str(&json)?;
    ensure!(
        json["IsOfficial"] == "true" && json["StarCount"] == "30" && json["Name"] == "most",
        "{json}"
    );
    refused(
        daemon,
        &["search", "--limit", "101", term],
        "imit 101 is outside the range of [1, 100]",
    )?;
    refused(
        daemon,
        &["search", "--filter", "colour=red", term],
        "nvalid filter 'colour'",
    )?;
    refused(
        daemon,
        &["search", "--filter", "stars=many", term],
        "nvalid filter 'stars=many'",
    )?;
    let nothing = format!("{host}/nothing");
    refused(daemon, &["search", &nothing], "Unexpected status code 404")
}
