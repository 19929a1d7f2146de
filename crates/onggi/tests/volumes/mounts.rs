//! `-v`, `--mount`, `--volumes-from`, `--tmpfs`: where things are, who may write, how `inspect` shows it.

use crate::{cli, daemon, is_dockerd, names, points, refuses, run, says};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_named_volume_carries_files_from_one_to_the_next() -> Result<()> {
    let daemon = daemon()?;
    says(&daemon, &["-v", "data:/d"], "echo kept > /d/file")?;
    ensure!(says(&daemon, &["-v", "data:/e/f/g"], "cat /e/f/g/file")? == "kept");
    let path = daemon.data_root().join("volumes/data/_data/file");
    ensure!(fs::read_to_string(path)? == "kept\n");
    let output = run(&daemon, &["-v", "data:/d:ro"], "cat /d/file; touch /d/x")?;
    ensure!(
        output.stdout == "kept\n" && output.stderr.contains("Read-only file system"),
        "{output:?}"
    );
    let mount = "type=volume,source=data,target=/d,readonly";
    let output = run(&daemon, &["--mount", mount], "touch /d/x")?;
    ensure!(
        output.stderr.contains("Read-only file system"),
        "{output:?}"
    );
    ensure!(says(&daemon, &["-v", "data:/d:z,rw"], "cat /d/file")? == "kept");
    ensure!(names(&daemon)? == ["data"]);
    daemon.clean()
}

#[test]
fn inspect_and_list_show_mounts_as_docker_does() -> Result<()> {
    let daemon = daemon()?;
    let shared = daemon.path("shared");
    fs::create_dir(&shared)?;
    let (bind, bind_mount) = (
        format!("{}:/b:ro,rslave", shared.display()),
        format!("type=bind,source={},target=/c", shared.display()),
    );
    let id = cli(
        &daemon,
        &[
            "create",
            "--name",
            "cc",
            "-v",
            &bind,
            "-v",
            "plain:/p",
            "-v",
            "ro:/r:ro",
            "-v",
            "/anon",
            "--mount",
            &bind_mount,
            "--mount",
            "source=mm,target=/m,volume-label=k=v,volume-nocopy",
            "--mount",
            "target=/n",
            "--mount",
            "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700",
            "--tmpfs",
            "/unseen",
            "busybox",
        ],
    )?;
    let volume = |name: &str, destination: &str, mode: &str, rw: bool| {
        json!({
            "Type": "volume", "Name": name, "Source": daemon.data_root().join("volumes").join(name).join("_data"),
            "Destination": destination, "Driver": "local", "Mode": mode, "RW": rw, "Propagation": "",
        })
    };
    let found = points(&daemon, "cc")?;
    let name = |at: usize| found[at]["Name"].as_str().unwrap_or_default().to_owned();
    let expected = [
        volume(&name(0), "/anon", "", true),
        json!({"Type": "bind", "Source": shared, "Destination": "/b", "Mode": "ro,rslave", "RW": false, "Propagation": "rslave"}),
        json!({"Type": "bind", "Source": shared, "Destination": "/c", "Mode": "", "RW": true, "Propagation": "rprivate"}),
        volume("mm", "/m", "z", true),
        volume(&name(4), "/n", "z", true),
        volume("plain", "/p", "z", true),
        volume("ro", "/r", "ro", false),
        json!({"Type": "tmpfs", "Source": "", "Destination": "/t", "Mode": "", "RW": true, "Propagation": ""}),
    ];
    ensure!(found == expected, "{found:#?}");
    let list = daemon.get("/containers/json?all=1")?.ok()?.json()?;
    let mut listed = list[0]["Mounts"].as_array().cloned().unwrap_or_default();
    listed.sort_by_key(|point| point["Destination"].to_string());
    if daemon.subject() == onggi_testkit::Subject::Onggi {
        ensure!(listed == expected, "{listed:#?}");
    }
    let volume = daemon.get("/volumes/mm")?.ok()?.json()?;
    ensure!(volume["Labels"] == json!({"k": "v"}), "{volume}");
    for filter in ["plain", "/p"] {
        let filter = format!("volume={filter}");
        let found = cli(&daemon, &["ps", "-aq", "--no-trunc", "--filter", &filter])?;
        ensure!(found == id, "{filter}: {found}");
    }
    daemon.clean()
}

#[test]
fn volumes_come_from_other_containers() -> Result<()> {
    let daemon = daemon()?;
    let shared = daemon.path("shared");
    fs::create_dir(&shared)?;
    let bind = format!("{}:/b", shared.display());
    cli(
        &daemon,
        &[
            "create", "--name", "one", "-v", "/anon", "-v", "data:/d", "-v", &bind, "busybox",
        ],
    )?;
    cli(
        &daemon,
        &["create", "--name", "two", "-v", "other:/d", "busybox"],
    )?;
    let told = says(
        &daemon,
        &["--volumes-from", "one"],
        "touch /anon/x /d/x /b/x && ls /anon /d /b",
    )?;
    ensure!(told == "/anon:\nx\n\n/b:\nx\n\n/d:\nx", "{told}");
    let output = run(
        &daemon,
        &["--volumes-from", "one:ro"],
        "ls /d; touch /d/y /anon/y /b/y",
    )?;
    ensure!(
        output.stdout == "x\n" && output.stderr.matches("Read-only").count() == 3,
        "{output:?}"
    );
    // The later one wins, and what is asked for directly wins over both.
    let flags = ["--volumes-from", "one", "--volumes-from", "two"];
    ensure!(says(&daemon, &flags, "ls /d /anon")? == "/anon:\nx\n\n/d:");
    let flags = ["--volumes-from", "one", "-v", "third:/d"];
    ensure!(says(&daemon, &flags, "ls /d")?.is_empty());
    cli(
        &daemon,
        &[
            "create",
            "--name",
            "heir",
            "--volumes-from",
            "one:ro",
            "busybox",
        ],
    )?;
    let heir = points(&daemon, "heir")?;
    let first = points(&daemon, "one")?;
    for (heir, first) in heir.iter().zip(&first) {
        ensure!(heir["Name"] == first["Name"] && heir["Source"] == first["Source"]);
        ensure!(heir["RW"] == false && heir["Mode"] == "", "{heir}");
    }
    ensure!(heir.len() == 3);
    refuses(
        &daemon,
        &["create", "--volumes-from", "nobody", "busybox"],
        "No such container: nobody",
    )?;
    refuses(
        &daemon,
        &["create", "--volumes-from", "one:nocopy", "busybox"],
        "invalid mode: nocopy",
    )?;
    daemon.clean()
}

#[test]
fn what_cannot_be_mounted_is_refused() -> Result<()> {
    let daemon = daemon()?;
    let create = |host: Value| {
        let body = json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": host});
        daemon.post("/containers/create", &body)
    };
    let mount = |mount: Value| json!({"Mounts": [mount]});
    for (host, status, text) in [
        (
            json!({"Binds": ["a:/x"]}),
            400,
            "create a: volume name is too short, names should be at least two alphanumeric characters",
        ),
        (
            json!({"Binds": ["v1:/x", "v2:/x"]}),
            400,
            "Duplicate mount point: /x",
        ),
        (
            json!({"Binds": ["v1:/x:rshared"]}),
            400,
            "invalid volume specification: 'v1:/x:rshared': invalid mount config for type \"volume\": field BindOptions must not be specified",
        ),
        (
            mount(json!({"Type": "volume", "Source": "v1"})),
            400,
            "invalid mount config for type \"volume\": field Target must not be empty",
        ),
        (
            mount(json!({"Type": "volume", "Source": "v1", "Target": "/"})),
            400,
            "invalid mount config for type \"volume\": invalid specification: destination can't be '/'",
        ),
        (
            mount(json!({"Type": "volume", "Source": "v1", "Target": "x"})),
            400,
            "invalid mount config for type \"volume\": invalid mount path: 'x' mount path must be absolute",
        ),
        (
            mount(json!({"Type": "volume", "Target": "/x", "ReadOnly": true})),
            400,
            "invalid mount config for type \"volume\": must not set ReadOnly mode when using anonymous volumes",
        ),
        (
            mount(json!({"Type": "bind", "Source": "/tmp", "Target": "/x", "VolumeOptions": {}})),
            400,
            "invalid mount config for type \"bind\": field VolumeOptions must not be specified",
        ),
        (
            mount(
                json!({"Type": "bind", "Source": "/tmp", "Target": "/x", "BindOptions": {"Propagation": "odd"}}),
            ),
            400,
            "invalid mount config for type \"bind\": invalid propagation mode: odd",
        ),
        (
            mount(json!({"Type": "tmpfs", "Source": "a", "Target": "/x"})),
            400,
            "invalid mount config for type \"tmpfs\": field Source must not be specified",
        ),
        (
            mount(json!({"Type": "odd", "Source": "a", "Target": "/x"})),
            400,
            "invalid mount config for type \"odd\": mount type unknown",
        ),
        (
            json!({"VolumeDriver": "nope", "Binds": ["v1:/x"]}),
            404,
            "create v1: error looking up volume plugin nope: plugin \"nope\" not found",
        ),
    ] {
        let answer = create(host.clone())?;
        let found = answer.json()?;
        ensure!(
            found["message"] == text,
            "{host}: {} {found}",
            answer.status
        );
        // The oracle is older than some of these statuses.
        if daemon.subject() == onggi_testkit::Subject::Onggi {
            ensure!(answer.status == status, "{host}: {}", answer.status);
        }
    }
    // Nothing is left of those that failed halfway.
    let host = json!({"Binds": ["fine:/f"], "Mounts": [{"Type": "volume", "Source": "v2", "Target": "/y",
        "VolumeOptions": {"DriverConfig": {"Name": "nope"}}}]});
    ensure!(create(host)?.status == 404);
    if !is_dockerd(&daemon, "it keeps the volumes of a container that failed") {
        ensure!(names(&daemon)?.is_empty(), "{:?}", names(&daemon)?);
    }
    daemon.clean()
}

#[test]
fn a_tmpfs_is_as_asked() -> Result<()> {
    let daemon = daemon()?;
    let mount = "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770";
    let told = says(
        &daemon,
        &["--mount", mount],
        "stat -c %a /t; df -k /t | awk 'NR == 2 {print $2}'; awk '$2 == \"/t\" {print $4}' /proc/mounts",
    )?;
    ensure!(told.starts_with("1770\n1024\n"), "{told}");
    for word in ["nosuid", "nodev", "noexec"] {
        ensure!(told.contains(word), "{told}");
    }
    let output = run(
        &daemon,
        &["--mount", "type=tmpfs,target=/t,readonly"],
        "touch /t/x",
    )?;
    ensure!(
        output.stderr.contains("Read-only file system"),
        "{output:?}"
    );
    daemon.clean()
}

#[test]
fn binds_are_recursive_and_readonly_as_asked() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "20.10 has no recursive read-only binds") {
        return Ok(());
    }
    let shared = daemon.path("shared");
    let below = shared.join("below");
    fs::create_dir_all(&below)?;
    rustix::mount::mount(
        "tmpfs",
        &below,
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        c"size=1m",
    )?;
    let tried = (|| -> Result<()> {
        let source = format!("type=bind,source={},target=/b", shared.display());
        let touch = "touch /b/x && echo outer; touch /b/below/x && echo inner; grep -q ' /b/below ' /proc/mounts && echo there";
        for (more, seen) in [
            ("", "outer\ninner\nthere"),
            (",readonly", "there"),
            (",readonly,bind-recursive=writable", "inner\nthere"),
            (
                ",readonly,bind-recursive=readonly,bind-propagation=rprivate",
                "there",
            ),
            (",bind-recursive=disabled", "outer\ninner"),
            (",bind-nonrecursive", "outer\ninner"),
        ] {
            let script = format!("({touch}) 2>/dev/null; true");
            let told = says(&daemon, &["--mount", &format!("{source}{more}")], &script)?;
            ensure!(told == seen, "{more}: {told}");
        }
        let made = shared.join("made");
        let body = json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Mounts": [
            {"Type": "bind", "Source": made, "Target": "/m", "BindOptions": {"CreateMountpoint": true}}]}});
        daemon.run_container(&body)?;
        ensure!(made.is_dir());
        Ok(())
    })();
    rustix::mount::unmount(&below, rustix::mount::UnmountFlags::DETACH)?;
    tried?;
    daemon.clean()
}

#[test]
fn mounts_travel_by_propagation() -> Result<()> {
    let daemon = daemon()?;
    let shared = daemon.path("shared");
    fs::create_dir(&shared)?;
    rustix::mount::mount(
        "tmpfs",
        &shared,
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        c"size=1m",
    )?;
    let tried = (|| -> Result<()> {
        rustix::mount::mount_change(&shared, rustix::mount::MountPropagationFlags::SHARED)?;
        fs::create_dir(shared.join("sub"))?;
        for propagation in ["rslave", "rprivate"] {
            let bind = format!("{}:/b:{propagation}", shared.display());
            cli(
                &daemon,
                &[
                    "run",
                    "-d",
                    "--name",
                    propagation,
                    "-v",
                    &bind,
                    "busybox",
                    "sleep",
                    "1000",
                ],
            )?;
        }
        let below = shared.join("sub");
        rustix::mount::mount(
            "tmpfs",
            &below,
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            c"size=1m",
        )?;
        for (container, code) in [("rslave", 0), ("rprivate", 1)] {
            let output =
                daemon.cli(&["exec", container, "grep", "-q", " /b/sub ", "/proc/mounts"])?;
            ensure!(output.code == code, "{container}: {output:?}");
        }
        Ok(())
    })();
    rustix::mount::unmount(&shared, rustix::mount::UnmountFlags::DETACH)?;
    tried?;
    daemon.clean()
}

#[test]
fn an_image_is_mounted() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "20.10 does not mount images") {
        return Ok(());
    }
    let layer = |path: &str, text: &str| {
        onggi_testkit::Layer::new(&[onggi_testkit::Entry::File(
            path.to_owned(),
            0o644,
            text.as_bytes().to_vec(),
        )])
    };
    let image = onggi_testkit::Image::new(vec![layer("one", "lower")?]);
    daemon.load(&image, &["single:latest"])?;
    let image = image.layer(layer("two", "upper")?);
    daemon.load(&image, &["double:latest"])?;
    let told = says(
        &daemon,
        &["--mount", "type=image,source=single,target=/i"],
        "cat /i/one",
    )?;
    ensure!(told == "lower", "{told}");
    let double = "type=image,source=double,target=/i";
    let output = run(
        &daemon,
        &["--mount", double],
        "cat /i/one /i/two; touch /i/x",
    )?;
    ensure!(
        output.stdout == "lowerupper" && output.stderr.contains("Read-only file system"),
        "{output:?}"
    );
    let file = "type=image,source=double,target=/i,image-subpath=two";
    ensure!(says(&daemon, &["--mount", file], "cat /i")? == "upper");
    refuses(
        &daemon,
        &[
            "create",
            "--mount",
            "type=image,source=nosuch,target=/i",
            "busybox",
        ],
        "nosuch",
    )?;
    cli(
        &daemon,
        &["create", "--name", "cc", "--mount", double, "busybox"],
    )?;
    ensure!(points(&daemon, "cc")?[0]["Type"] == "image");
    let kept = daemon.cli(&["rmi", "double"])?;
    ensure!(kept.code != 0, "{kept:?}");
    daemon.clean()
}
