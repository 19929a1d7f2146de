//! What a process sees: namespaces, mounts, devices, hidden paths, control groups.

use serde_json::json;

use crate::Test;
use crate::bundle::{Bundle, text};

pub(crate) const TESTS: &[Test] = &[
    ("view::namespaces_are_its_own", namespaces),
    ("view::namespaces_are_joined_by_path", joined),
    ("view::the_host_network_when_none_is_named", host_network),
    ("view::loopback_is_up", loopback),
    ("view::mounts_are_as_written", mounts),
    ("view::devices_and_links", devices),
    ("view::a_bound_dev_is_left_alone", bound_dev),
    ("view::masked_and_readonly_paths", hidden),
    ("view::a_readonly_root", readonly_root),
    ("view::binds_with_options", binds),
    ("view::recursive_readonly", recursive_readonly),
    (
        "view::a_bind_of_a_file_and_of_a_link_in_the_image",
        bind_targets,
    ),
    (
        "view::a_later_mount_below_a_readonly_tmpfs",
        below_readonly_tmpfs,
    ),
    ("view::tmpfs_takes_the_mode_it_covers", tmpfs_mode),
    ("view::control_groups_of_its_own", cgroups_own),
    ("view::control_groups_without_a_namespace", cgroups_host),
    ("view::nothing_of_it_is_mounted_on_the_host", host_mounts),
    ("view::shared_mounts_reach_where_they_should", propagation),
    ("view::names_and_parameters", names),
];

fn namespaces() {
    let own: Vec<String> = ["mnt", "pid", "net", "ipc", "uts", "cgroup"]
        .iter()
        .map(|kind| {
            std::fs::read_link(format!("/proc/self/ns/{kind}"))
                .expect("is there")
                .display()
                .to_string()
        })
        .collect();
    let bundle = Bundle::script(
        "for n in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done; echo pid $$; hostname",
    );
    let output = bundle.output();
    let lines: Vec<&str> = output.lines().collect();
    for (inside, outside) in lines.iter().zip(&own) {
        assert_ne!(inside, outside);
        assert_eq!(inside.split(':').next(), outside.split(':').next());
    }
    assert_eq!(lines[6..], ["pid 1", "pot"]);
}

fn joined() {
    let first = Bundle::script("sleep 100");
    let pid = first.detach();
    let mut second = Bundle::script(
        "for n in net ipc uts pid; do readlink /proc/self/ns/$n; done; hostname; test -e /proc/1/comm; cat /proc/1/comm",
    );
    let path = |kind: &str| format!("/proc/{pid}/ns/{kind}");
    second.with(json!({"hostname": null, "linux": {"namespaces": [
        {"type": "mount"}, {"type": "network", "path": path("net")}, {"type": "ipc", "path": path("ipc")},
        {"type": "uts", "path": path("uts")}, {"type": "pid", "path": path("pid")},
    ]}}));
    let output = second.output();
    let lines: Vec<&str> = output.lines().collect();
    for (at, kind) in ["net", "ipc", "uts", "pid"].iter().enumerate() {
        let wanted = std::fs::read_link(path(kind)).expect("is there");
        assert_eq!(lines[at], wanted.display().to_string());
    }
    assert_eq!(lines[4..], ["pot", "sleep"]);
}

fn host_network() {
    let mut bundle = Bundle::script("readlink /proc/self/ns/net");
    bundle.with(json!({"linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}]}}));
    let own = std::fs::read_link("/proc/self/ns/net").expect("is there");
    assert_eq!(bundle.output().trim(), own.display().to_string());
}

fn loopback() {
    let bundle = Bundle::script("ip addr show lo; ip link | grep -c '^[0-9]'");
    let output = bundle.output();
    assert!(output.contains("127.0.0.1/8"), "{output}");
}

fn mounts() {
    let bundle = Bundle::script("cat /proc/self/mountinfo");
    let output = bundle.output();
    let find = |place: &str| {
        let line = output
            .lines()
            .find(|line| line.split(' ').nth(4) == Some(place))
            .unwrap_or_else(|| panic!("{place} is not mounted: {output}"));
        let fields: Vec<&str> = line.split(" - ").collect();
        let kind = fields[1].split(' ').next().unwrap_or_default().to_owned();
        let options = line.split(' ').nth(5).unwrap_or_default().to_owned();
        let data = fields[1].split(' ').nth(2).unwrap_or_default().to_owned();
        (kind, options, data)
    };
    for (place, kind, options, data) in [
        ("/proc", "proc", "rw,nosuid,nodev,noexec,relatime", ""),
        ("/dev", "tmpfs", "rw,nosuid", "mode=755"),
        (
            "/dev/pts",
            "devpts",
            "rw,nosuid,noexec,relatime",
            "gid=5,mode=620,ptmxmode=666",
        ),
        ("/sys", "sysfs", "ro,nosuid,nodev,noexec,relatime", ""),
        (
            "/dev/mqueue",
            "mqueue",
            "rw,nosuid,nodev,noexec,relatime",
            "",
        ),
        (
            "/dev/shm",
            "tmpfs",
            "rw,nosuid,nodev,noexec,relatime",
            "size=65536k",
        ),
    ] {
        let (found_kind, found_options, found_data) = find(place);
        assert_eq!(found_kind, kind, "{place}");
        assert_eq!(found_options, options, "{place}");
        assert!(found_data.contains(data), "{place}: {found_data}");
    }
    // Nothing of the host can be seen, and its root is gone.
    assert_eq!(
        output
            .lines()
            .filter(|l| l.split(' ').nth(4) == Some("/"))
            .count(),
        1,
        "{output}"
    );
    assert_eq!(
        output.matches("/onggi-runtime-test-").count(),
        1,
        "{output}"
    );
}

fn devices() {
    let mut bundle = Bundle::script(
        "cd /dev; for d in null zero full random urandom tty fuse net/tun; do stat -c '%n %t:%T %a %u:%g %F' $d; done; \
         for l in fd stdin stdout stderr ptmx; do echo $l $(readlink $l); done; echo x > /dev/null; head -c 4 /dev/zero | wc -c; \
         test -e /dev/console && echo console; ls /dev",
    );
    bundle.with(json!({"linux": {"devices": [
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 1, "gid": 2},
        {"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666},
    ]}}));
    let output = bundle.output();
    assert_eq!(
        output.trim(),
        "null 1:3 666 0:0 character special file\nzero 1:5 666 0:0 character special file\nfull 1:7 666 0:0 character special file\n\
         random 1:8 666 0:0 character special file\nurandom 1:9 666 0:0 character special file\ntty 5:0 666 0:0 character special file\n\
         fuse a:e5 640 1:2 character special file\nnet/tun a:c8 666 0:0 character special file\n\
         fd /proc/self/fd\nstdin /proc/self/fd/0\nstdout /proc/self/fd/1\nstderr /proc/self/fd/2\nptmx pts/ptmx\n4\n\
         core\nfd\nfull\nfuse\nmqueue\nnet\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero"
    );
}

fn bound_dev() {
    let mut bundle = Bundle::script("ls /dev");
    let own = bundle.path.join("dev");
    std::fs::create_dir(&own).expect("makes");
    std::fs::write(own.join("marker"), "").expect("writes");
    bundle.with(json!({"mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "bind", "source": own, "options": ["bind"]},
    ]}));
    assert_eq!(bundle.output(), "marker\n");
}

fn hidden() {
    let mut bundle = Bundle::script(
        "echo 1 > /proc/sys/kernel/domainname; touch /sys/firmware/x; mount -o remount,rw /proc/sys; echo end",
    );
    let output = bundle.run();
    let stderr = text(&output.stderr);
    for wanted in [
        "/proc/sys/kernel/domainname: Read-only file system",
        "/sys/firmware/x: Read-only file system",
        "permission denied",
    ] {
        assert!(stderr.contains(wanted), "{stderr}");
    }
    // Files become our null device, directories empty; what the kernel does not have is passed over.
    bundle.with(json!({
        "process": {"args": ["sh", "-c", "stat -c '%t:%T' /proc/keys /proc/timer_list /proc/uptime; cat /proc/keys /proc/uptime | wc -c; ls -a /sys/firmware /proc/irq | wc -l"]},
        "linux": {"maskedPaths": ["/proc/keys", "/proc/timer_list", "/proc/uptime", "/sys/firmware", "/proc/irq", "/proc/nowhere", "/proc/uptime/below"]},
    }));
    assert_eq!(bundle.output(), "1:3\n1:3\n1:3\n0\n7\n");
}

fn readonly_root() {
    let mut bundle = Bundle::script("touch /x; touch /dev/shm/x && echo shm");
    bundle.with(json!({"root": {"readonly": true}}));
    let output = bundle.run();
    assert!(text(&output.stderr).contains("/x: Read-only file system"));
    assert_eq!(text(&output.stdout), "shm\n");
}

fn binds() {
    let mut bundle = Bundle::script(
        "cat /data/file; touch /data/new && echo writable; touch /ro/new; /exec/busybox true; echo $?; cat /proc/self/mountinfo | grep -E ' /(data|ro|exec) ' | cut -d' ' -f5,6,7",
    );
    let data = bundle.path.join("data");
    std::fs::create_dir(&data).expect("makes");
    std::fs::write(data.join("file"), "hello\n").expect("writes");
    let bin = bundle.root("bin");
    bundle.mount(json!({"destination": "/data", "type": "bind", "source": data, "options": ["rbind", "rw", "rprivate"]}));
    bundle.mount(json!({"destination": "/ro", "source": data, "options": ["bind", "ro", "nosuid", "nodev", "private"]}));
    bundle.mount(
        json!({"destination": "/exec", "source": bin, "options": ["bind", "noexec", "private"]}),
    );
    let output = bundle.run();
    assert_eq!(
        text(&output.stdout),
        "hello\nwritable\n126\n/data rw,relatime -\n/ro ro,nosuid,nodev,relatime -\n/exec rw,noexec,relatime -\n"
    );
    assert!(text(&output.stderr).contains("/ro/new: Read-only file system"));
    assert!(data.join("new").exists());
}

fn recursive_readonly() {
    // A tree with a mount in it, made in a mount namespace of its own.
    let bundle_script =
        "touch /tree/x; touch /tree/below/x; touch /plain/below/x && echo plain-below";
    let mut bundle = Bundle::script(bundle_script);
    let tree = bundle.path.join("tree");
    std::fs::create_dir_all(tree.join("below")).expect("makes");
    bundle.mount(json!({"destination": "/tree", "source": tree, "options": ["rbind", "rro"]}));
    bundle.mount(json!({"destination": "/plain", "source": tree, "options": ["rbind", "ro"]}));
    bundle.write();
    let run = bundle.command(&["run", &bundle.id]);
    let program = run.get_program().to_string_lossy().into_owned();
    let args: Vec<String> = run
        .get_args()
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c"])
        .arg(format!(
            "mount -t tmpfs t {}/below && exec {program} {}",
            tree.display(),
            args.join(" ")
        ))
        .env(crate::ROLE, "runtime")
        .current_dir(&bundle.path)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("runs");
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("/tree/x: Read-only file system"),
        "{stderr}"
    );
    assert!(
        stderr.contains("/tree/below/x: Read-only file system"),
        "{stderr}"
    );
    assert_eq!(text(&output.stdout), "plain-below\n");
}

fn bind_targets() {
    let mut bundle = Bundle::script("cat /etc/resolv.conf /run/stub /new/file");
    std::os::unix::fs::symlink("../run/stub", bundle.root("etc/resolv.conf")).expect("links");
    let file = bundle.path.join("resolv");
    std::fs::write(&file, "nameserver\n").expect("writes");
    bundle.mount(json!({"destination": "/etc/resolv.conf", "source": file, "options": ["bind"]}));
    bundle.mount(json!({"destination": "/new/file", "source": file, "options": ["bind"]}));
    assert_eq!(bundle.output(), "nameserver\nnameserver\nnameserver\n");
}

fn below_readonly_tmpfs() {
    let mut bundle = Bundle::script("touch /t/x; cat /t/deep/file");
    let file = bundle.path.join("f");
    std::fs::write(&file, "there\n").expect("writes");
    bundle.mount(json!({"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "size=1m"]}));
    bundle.mount(json!({"destination": "/t/deep/file", "source": file, "options": ["bind"]}));
    let output = bundle.run();
    assert_eq!(text(&output.stdout), "there\n", "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("/t/x: Read-only file system"));
}

fn tmpfs_mode() {
    let mut bundle = Bundle::script("stat -c '%a' /covered /asked /fresh");
    std::fs::create_dir(bundle.root("covered")).expect("makes");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o1751);
    std::fs::set_permissions(bundle.root("covered"), mode).expect("changes");
    for (path, options) in [
        ("/covered", json!([])),
        ("/asked", json!(["mode=700"])),
        ("/fresh", json!([])),
    ] {
        bundle.mount(
            json!({"destination": path, "type": "tmpfs", "source": "tmpfs", "options": options}),
        );
    }
    assert_eq!(bundle.output(), "1751\n700\n1777\n");
}

fn cgroups_own() {
    let bundle = Bundle::script(
        "cat /proc/self/cgroup; ls /sys/fs/cgroup; if [ -e /sys/fs/cgroup/cgroup.procs ]; then d=/sys/fs/cgroup; else d=/sys/fs/cgroup/pids; fi; \
         cat $d/cgroup.procs | head -1; mkdir $d/x; touch /sys/fs/cgroup/x",
    );
    let output = bundle.run();
    let stdout = text(&output.stdout);
    for line in stdout.lines().filter(|line| line.contains(':')) {
        assert!(line.ends_with(":/"), "{line}");
    }
    assert!(stdout.lines().any(|line| line == "1"), "{stdout}");
    let stderr = text(&output.stderr);
    assert_eq!(
        stderr.matches("Read-only file system").count(),
        2,
        "{stderr}"
    );
}

fn cgroups_host() {
    let mut bundle = Bundle::script(
        "if [ -e /sys/fs/cgroup/cgroup.controllers ]; then d=/sys/fs/cgroup/$(cut -d: -f3 /proc/self/cgroup); else d=/sys/fs/cgroup/memory; fi; \
         cat $d/cgroup.procs | head -1; grep -c onggi-test /proc/self/cgroup; echo 1 > $d/cgroup.procs",
    );
    bundle.with(json!({"linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}]}}));
    let output = bundle.run();
    let stdout = text(&output.stdout);
    let mut lines = stdout.lines();
    assert_eq!(lines.next(), Some("1"), "{}", text(&output.stderr));
    assert_ne!(lines.next(), Some("0"));
    assert!(text(&output.stderr).contains("Read-only file system"));
}

fn host_mounts() {
    let before = std::fs::read_to_string("/proc/self/mountinfo").expect("is there");
    let mut bundle = Bundle::script("sleep 100");
    let source = bundle.root("tmp");
    bundle.mount(json!({"destination": "/d", "source": source, "options": ["rbind", "rshared"]}));
    bundle.detach();
    assert_eq!(
        std::fs::read_to_string("/proc/self/mountinfo").expect("is there"),
        before
    );
    drop(bundle);
    assert_eq!(
        std::fs::read_to_string("/proc/self/mountinfo").expect("is there"),
        before
    );
}

fn propagation() {
    // In a mount namespace of its own: a shared tmpfs, bound rslave and rprivate; then something is mounted in it.
    let mut bundle = Bundle::script(
        "touch /slave/ready; while ! [ -e /slave/go ]; do sleep 0.01; done; test -e /slave/late/mark && echo slave; test -e /private/late/mark || echo not-private",
    );
    let shared = bundle.path.join("shared");
    std::fs::create_dir(&shared).expect("makes");
    bundle
        .mount(json!({"destination": "/slave", "source": shared, "options": ["rbind", "rslave"]}));
    bundle.mount(
        json!({"destination": "/private", "source": shared, "options": ["rbind", "rprivate"]}),
    );
    bundle.write();
    let run = bundle.command(&["run", &bundle.id]);
    let program = run.get_program().to_string_lossy().into_owned();
    let args: Vec<String> = run
        .get_args()
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let dir = shared.display();
    let script = format!(
        "mount -t tmpfs t {dir} && mount --make-shared {dir} && mkdir {dir}/late && \
         {{ {program} {} & }} && until [ -e {dir}/ready ]; do sleep 0.01; done && \
         mount -t tmpfs l {dir}/late && touch {dir}/late/mark {dir}/go && wait",
        args.join(" ")
    );
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .env(crate::ROLE, "runtime")
        .current_dir(&bundle.path)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("runs");
    assert_eq!(
        text(&output.stdout),
        "slave\nnot-private\n",
        "{}",
        text(&output.stderr)
    );
}

fn names() {
    let mut bundle = Bundle::script(
        "hostname; cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax",
    );
    bundle.with(json!({"domainname": "example.org", "linux": {"sysctl": {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096"}}}));
    assert_eq!(bundle.output(), "pot\nexample.org\n1\n4096\n");
}
