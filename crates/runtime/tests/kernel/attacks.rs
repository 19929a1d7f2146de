//! Images and containers that want out: every one of these has worked against some runtime.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::Test;
use crate::bundle::{Bundle, text, until};

pub(crate) const TESTS: &[Test] = &[
    ("attacks::proc_sys_and_dev_as_links", special_links),
    ("attacks::mount_targets_through_links", target_links),
    ("attacks::a_target_swapped_while_mounting", swapped),
    (
        "attacks::working_directory_through_a_descriptor",
        cwd_descriptor,
    ),
    (
        "attacks::writing_the_runtime_through_its_exe_link",
        exe_link,
    ),
    ("attacks::passwd_that_is_no_file", passwd),
    (
        "attacks::etc_passwd_of_the_host_through_a_link",
        host_passwd,
    ),
    ("attacks::exec_cannot_be_traced", traced),
    ("attacks::masks_hold_when_dev_null_is_replaced", masks),
    ("attacks::terminal_multiplexer_replaced", ptmx),
    ("attacks::nothing_of_the_host_after_pivot", old_root),
    ("attacks::a_runtime_in_a_chroot", chroot),
];

fn special_links() {
    for (name, wanted) in [
        ("proc", "ordinary directory"),
        ("sys", "ordinary directory"),
        ("dev", "ordinary directory"),
    ] {
        let bundle = Bundle::script("true");
        let outside = bundle.path.join("outside");
        std::fs::create_dir(&outside).expect("makes");
        symlink("/tmp", bundle.root(name)).expect("links");
        let text = bundle.failure();
        assert!(text.contains(wanted), "{name}: {text}");
        assert!(
            std::fs::read_dir(bundle.root("tmp"))
                .expect("is there")
                .next()
                .is_none(),
            "{name}"
        );
    }
    // Without a mount over it, too: nodes are made in no directory that a link names.
    let mut bundle = Bundle::script("true");
    symlink("/tmp", bundle.root("dev")).expect("links");
    bundle.with(json!({"mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}]}));
    bundle.failure();
    assert!(
        std::fs::read_dir(bundle.root("tmp"))
            .expect("is there")
            .next()
            .is_none()
    );
}

fn target_links() {
    let mut bundle = Bundle::script("cat /link/file /climb/file /loop2/file 2>/dev/null; ls /");
    let outside = bundle.path.join("outside");
    std::fs::create_dir(&outside).expect("makes");
    symlink(&outside, bundle.root("link")).expect("links");
    symlink("../../../../../../../..", bundle.root("climb")).expect("links");
    let source = bundle.path.join("source");
    std::fs::create_dir(&source).expect("makes");
    std::fs::write(source.join("file"), "inside\n").expect("writes");
    bundle.mount(json!({"destination": "/link", "source": source, "options": ["bind"]}));
    bundle.mount(json!({"destination": "/climb/mnt", "source": source, "options": ["bind"]}));
    bundle.mount(
        json!({"destination": "/link/../../../../up", "source": source, "options": ["bind"]}),
    );
    let output = bundle.output();
    assert!(output.starts_with("inside\n"), "{output}");
    assert!(output.contains("mnt") && output.contains("up"), "{output}");
    assert!(
        std::fs::read_dir(&outside)
            .expect("is there")
            .next()
            .is_none()
    );
    assert!(!bundle.path.join("up").exists() && !bundle.path.join("mnt").exists());
}

fn swapped() {
    // Another container's process swaps a directory for a link to the host while this one mounts below it.
    let mut bundle = Bundle::script("true");
    let volume = bundle.path.join("volume");
    let outside = bundle.path.join("outside");
    std::fs::create_dir_all(volume.join("a")).expect("makes");
    std::fs::create_dir(&outside).expect("makes");
    symlink(&outside, volume.join("b")).expect("links");
    bundle.mount(json!({"destination": "/volume", "source": volume, "options": ["rbind"]}));
    for at in 0..4 {
        bundle.mount(json!({"destination": format!("/volume/a/deep{at}/er"), "type": "tmpfs", "source": "tmpfs"}));
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = renameat_with(
                    CWD,
                    volume.join("a"),
                    CWD,
                    volume.join("b"),
                    RenameFlags::EXCHANGE,
                );
            }
        });
        for _ in 0..40 {
            // It may fail or not; it must not reach out.
            bundle.run();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(
        std::fs::read_dir(&outside)
            .expect("is there")
            .next()
            .is_none()
    );
}

fn cwd_descriptor() {
    for number in 0..24 {
        let mut bundle = Bundle::script("pwd -P; ls ..");
        bundle.with(json!({"process": {"cwd": format!("/proc/self/fd/{number}")}}));
        let output = bundle.run();
        assert!(
            !output.status.success(),
            "{number}: {}",
            text(&output.stdout)
        );
    }
    let bundle = Bundle::script("sleep 1000");
    bundle.detach();
    for number in 0..24 {
        let output = bundle.call(&[
            "exec",
            "--cwd",
            &format!("/proc/self/fd/{number}"),
            &bundle.id,
            "pwd",
        ]);
        assert!(
            !output.status.success(),
            "{number}: {}",
            text(&output.stdout)
        );
    }
}

fn exe_link() {
    // The process re-executes whatever runs it, and writes to that: a sealed copy, never the file of the host.
    let program = std::env::current_exe().expect("has a path");
    let before = std::fs::metadata(&program)
        .expect("is there")
        .modified()
        .expect("has a time");
    let mut bundle = Bundle::new();
    bundle.with(json!({"process": {"args": ["/proc/self/exe"]}}));
    bundle.run();
    let bundle = Bundle::script("sleep 1000");
    bundle.detach();
    let output = bundle.call(&["exec", &bundle.id, "sh", "-c", "for p in /proc/[0-9]*; do readlink $p/exe; done; for p in /proc/[0-9]*; do echo x > $p/exe; done"]);
    let stdout = text(&output.stdout);
    assert!(
        stdout.lines().all(|line| line == "/bin/busybox"),
        "{stdout}"
    );
    assert_eq!(
        std::fs::metadata(&program)
            .expect("is there")
            .modified()
            .expect("has a time"),
        before
    );
}

fn passwd() {
    let mut bundle = Bundle::script("echo $HOME");
    std::fs::remove_file(bundle.root("etc/passwd")).expect("removes");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bundle.root("etc/passwd"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .expect("makes a pipe");
    assert_eq!(bundle.output(), "/\n");
    std::fs::remove_file(bundle.root("etc/passwd")).expect("removes");
    std::fs::create_dir(bundle.root("etc/passwd")).expect("makes");
    bundle.with(json!({"process": {"args": ["sh", "-c", "echo $HOME"]}}));
    assert_eq!(bundle.output(), "/\n");
}

fn host_passwd() {
    let bundle = Bundle::script("echo $HOME");
    std::fs::remove_file(bundle.root("etc/passwd")).expect("removes");
    symlink(
        "../../../../../../../../../../etc/other",
        bundle.root("etc/passwd"),
    )
    .expect("links");
    std::fs::write(bundle.root("etc/other"), "root:x:0:0::/inside:/bin/sh\n").expect("writes");
    assert_eq!(bundle.output(), "/inside\n");
}

fn traced() {
    // While processes of exec come and go, one of the container reads their memory maps and environment as root.
    let bundle = Bundle::script(
        "while :; do for p in /proc/[0-9]*; do case $p in /proc/1|/proc/$$) ;; *) tr '\\0' '\\n' < $p/environ >> /tmp/seen; readlink $p/fd/* $p/cwd >> /tmp/seen; esac; done; done 2>/dev/null",
    );
    bundle.detach();
    for _ in 0..20 {
        let output = bundle
            .command(&["exec", &bundle.id, "true"])
            .env("SECRET_OF_THE_HOST", "canary")
            .output()
            .expect("runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let seen = std::fs::read_to_string(bundle.root("tmp/seen")).unwrap_or_default();
    assert!(
        !seen.contains("canary"),
        "the environment of the runtime was read"
    );
    assert!(
        !seen.contains("/state"),
        "descriptors of the runtime were seen: {seen}"
    );
}

fn masks() {
    // The image brings its own /dev/null, a link to something worth reading; no tmpfs covers it.
    let mut bundle = Bundle::script("cat /proc/keys | wc -c; stat -c %t:%T /proc/keys");
    std::fs::create_dir(bundle.root("dev")).expect("makes");
    symlink("/etc/passwd", bundle.root("dev/null")).expect("links");
    bundle.with(json!({"mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}]}));
    assert_eq!(bundle.output(), "0\n1:3\n");
}

fn ptmx() {
    let mut bundle = Bundle::script("sleep 1000");
    bundle.with(json!({"process": {"capabilities": {"bounding": ["CAP_SYS_ADMIN"], "effective": ["CAP_SYS_ADMIN"], "permitted": ["CAP_SYS_ADMIN"]}}}));
    bundle.detach();
    let output = bundle.call(&[
        "exec",
        &bundle.id,
        "sh",
        "-c",
        "mount -t tmpfs x /dev/pts && mkfifo /dev/pts/ptmx && echo done",
    ]);
    assert_eq!(text(&output.stdout), "done\n", "{}", text(&output.stderr));
    let output = bundle.call(&["exec", "--tty", &bundle.id, "true"]);
    assert!(
        text(&output.stderr).contains("not a terminal multiplexer"),
        "{}",
        text(&output.stderr)
    );
    until("it still runs", || bundle.status() == "running");
}

fn old_root() {
    let mut bundle = Bundle::script("umount -l / 2>/dev/null; ls / | tr '\\n' ' '");
    bundle.with(json!({"process": {"capabilities": {"bounding": ["CAP_SYS_ADMIN"], "effective": ["CAP_SYS_ADMIN"], "permitted": ["CAP_SYS_ADMIN"]}}}));
    let output = bundle.run();
    assert!(
        !text(&output.stdout).contains("boot"),
        "{}",
        text(&output.stdout)
    );
    assert!(
        !text(&output.stdout).contains("usr"),
        "{}",
        text(&output.stdout)
    );
}

fn chroot() {
    // pivot_root then changes the root of the chroot only; a process of the container could climb out of it.
    let bundle = Bundle::script("true");
    bundle.write();
    let run = bundle.command(&["run", &bundle.id]);
    let program = run.get_program().to_string_lossy().into_owned();
    let args: Vec<String> = run
        .get_args()
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let script = format!(
        "mkdir all && mount --rbind / all && chroot all sh -c 'cd {} && exec {program} {}'",
        bundle.path.display(),
        args.join(" ")
    );
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .env(crate::ROLE, "runtime")
        .current_dir(&bundle.path)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("runs");
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("started in a chroot"),
        "{}",
        text(&output.stderr)
    );
}
