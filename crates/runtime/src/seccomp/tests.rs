//! Filters are run by a small interpreter and compared with the rules, number by number.

use super::table::{self, X32_BIT};
use super::*;
use onggi_oci::runtime::{Action, Argument, Operator, Syscall};

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const KILL: u32 = 0x8000_0000;
const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const AARCH64: u32 = 0xc000_00b7;
const ARM: u32 = 0x4000_0028;

/// What the kernel does with a filter; knows the instructions that the compiler uses and fails on any other.
fn run(program: &[Instruction], audit: u32, number: u32, args: [u64; 6]) -> u32 {
    let word = |offset: u32| match offset {
        0 => number,
        4 => audit,
        _ => (args[(offset as usize - 16) / 8] >> (if offset % 8 == 4 { 32 } else { 0 })) as u32,
    };
    let (mut a, mut at) = (0_u32, 0_usize);
    loop {
        let i = program[at];
        let mut branch = |holds: bool| at += 1 + usize::from(if holds { i.jt } else { i.jf });
        match i.code {
            tree::LOAD => {
                a = word(i.k);
                at += 1;
            }
            tree::AND => {
                a &= i.k;
                at += 1;
            }
            tree::JUMP => at += 1 + i.k as usize,
            tree::IF_EQUAL => branch(a == i.k),
            tree::IF_GREATER => branch(a > i.k),
            tree::IF_GREATER_OR_EQUAL => branch(a >= i.k),
            tree::RETURN => return i.k,
            other => panic!("instruction {other:#x}"),
        }
    }
}

/// What the rules say, read as a person would.
fn judge(seccomp: &Seccomp, name: &str, args: [u64; 6], narrow: bool) -> u32 {
    let value = |action, errno: Option<u32>| match action {
        Action::Allow => ALLOW,
        Action::Errno => 0x0005_0000 | errno.unwrap_or(1),
        Action::KillProcess => KILL,
        Action::Trap => 0x0003_0000,
        other => panic!("{other:?} is not in these tests"),
    };
    let cut = |v: u64| if narrow { v & 0xffff_ffff } else { v };
    let holds = |c: &Argument| {
        let (arg, v) = (cut(args[c.index as usize]), cut(c.value));
        match c.op {
            Operator::Equal => arg == v,
            Operator::NotEqual => arg != v,
            Operator::Less => arg < v,
            Operator::LessOrEqual => arg <= v,
            Operator::Greater => arg > v,
            Operator::GreaterOrEqual => arg >= v,
            Operator::MaskedEqual => arg & v == cut(c.value_two) & v,
        }
    };
    let default = value(seccomp.default_action, seccomp.default_errno_ret);
    let about = || {
        seccomp
            .syscalls
            .iter()
            .filter(|r| r.names.iter().any(|n| n == name))
    };
    let matching = about()
        .filter(|r| !r.args.is_empty())
        .find(|r| value(r.action, r.errno_ret) != default && r.args.iter().all(holds));
    matching
        .or_else(|| about().find(|r| r.args.is_empty() && value(r.action, r.errno_ret) != default))
        .map_or(default, |r| value(r.action, r.errno_ret))
}

fn number(arch: Arch, name: &str) -> u32 {
    let mut found = None;
    for family in [Arch::X86_64, Arch::Aarch64]
        .iter()
        .flat_map(|a| table::families(*a))
    {
        for member in family.members.iter().filter(|m| m.arch == arch) {
            (member.each)(&mut |n, number| {
                if n == name {
                    found = Some(member.base + number);
                }
            });
        }
    }
    found.unwrap_or_else(|| panic!("{name} on {arch:?}"))
}

/// Compares a filter with its rules for every number of every architecture, with several arguments.
fn compare(seccomp: &Seccomp, native: Arch) -> usize {
    let program = compile_for(seccomp, native).expect("compiles");
    for family in table::families(native) {
        for member in family.members {
            let mut names = std::collections::BTreeMap::new();
            (member.each)(&mut |name, number| {
                names.insert(number, name);
            });
            let named = |n: &&str| {
                seccomp
                    .syscalls
                    .iter()
                    .any(|r| r.names.iter().any(|m| m == *n))
            };
            let newest = names
                .iter()
                .filter(|(_, n)| named(n))
                .map(|(n, _)| *n)
                .max()
                .unwrap_or(0);
            for number in 0..=newest + 40 {
                for args in [
                    [0; 6],
                    [1; 6],
                    [2; 6],
                    [38, 40, 3, 4, 5, 6],
                    [0x7e02_0000; 6],
                    [u64::MAX; 6],
                    [1 << 32; 6],
                ] {
                    let wanted = match names.get(&number) {
                        _ if number > newest => ENOSYS,
                        Some(name) => judge(seccomp, name, args, member.narrow),
                        None => judge(seccomp, "", args, member.narrow),
                    };
                    let got = run(&program, family.audit, member.base + number, args);
                    assert_eq!(
                        got,
                        wanted,
                        "{:?} {number} {:?} {args:x?}",
                        member.arch,
                        names.get(&number)
                    );
                }
            }
        }
    }
    program.len()
}

fn profile(capabilities: &[&str], native: Arch) -> Seccomp {
    Profile::onggi().fit_to(capabilities, Some(native), (6, 1))
}

impl Profile {
    fn fit_to_old_kernel(&self) -> Seccomp {
        self.fit_to::<&str>(&[], Some(Arch::X86_64), (4, 7))
    }
}

#[test]
fn the_default_profile_is_what_its_rules_say_for_every_number() {
    for native in [Arch::X86_64, Arch::Aarch64] {
        let length = compare(&profile(&["CAP_CHOWN"], native), native);
        assert!(length < 900, "{length} instructions");
        compare(
            &profile(&["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_TIME"], native),
            native,
        );
    }
}

#[test]
fn the_default_profile_on_the_points_that_matter() {
    let plain = profile(&[], Arch::X86_64);
    let program = compile_for(&plain, Arch::X86_64).expect("compiles");
    let call = |name: &str, first: u64| {
        run(
            &program,
            X86_64,
            number(Arch::X86_64, name),
            [first, 0, 0, 0, 0, 0],
        )
    };
    for allowed in [
        "read",
        "openat2",
        "execve",
        "clock_adjtime",
        "ptrace",
        "futex_wait",
        "mseal",
        "chown",
        "arch_prctl",
    ] {
        assert_eq!(call(allowed, 0), ALLOW, "{allowed}");
    }
    for refused in [
        "mount",
        "unshare",
        "setns",
        "bpf",
        "reboot",
        "chroot",
        "io_uring_setup",
        "keyctl",
        "add_key",
        "kexec_load",
        "init_module",
        "userfaultfd",
        "perf_event_open",
        "open_by_handle_at",
        "settimeofday",
        "swapon",
    ] {
        assert_eq!(call(refused, 0), EPERM, "{refused}");
    }
    assert_eq!(call("clone", 0x11), ALLOW);
    for flag in [
        0x2_0000,
        0x0200_0000,
        0x0400_0000,
        0x0800_0000,
        0x1000_0000,
        0x2000_0000,
        0x4000_0000_u64,
    ] {
        assert_eq!(call("clone", flag | 0x11), EPERM, "{flag:#x}");
    }
    assert_eq!(call("clone3", 0), ENOSYS);
    for (persona, wanted) in [
        (0, ALLOW),
        (8, ALLOW),
        (0x20008, ALLOW),
        (0xffff_ffff, ALLOW),
        (0x40000, EPERM),
    ] {
        assert_eq!(call("personality", persona), wanted, "{persona:#x}");
    }
    let old = compile_for(&Profile::onggi().fit_to_old_kernel(), Arch::X86_64).expect("compiles");
    assert_eq!(
        run(&old, X86_64, number(Arch::X86_64, "ptrace"), [0; 6]),
        EPERM
    );
}

#[test]
fn socket_families_by_the_list() {
    const REFUSED: &[u64] = &[12, 19, 20, 23, 25, 34, 37, 38, 40];
    for (native, audit, arch) in [
        (Arch::X86_64, X86_64, Arch::X86_64),
        (Arch::X86_64, X86_64, Arch::X32),
        (Arch::X86_64, I386, Arch::X86),
        (Arch::Aarch64, AARCH64, Arch::Aarch64),
        (Arch::Aarch64, ARM, Arch::Arm),
    ] {
        let program = compile_for(&profile(&[], native), native).expect("compiles");
        let socket = number(arch, "socket");
        for family in 0..64 {
            let wanted = if REFUSED.contains(&family) || family > 45 {
                EPERM
            } else {
                ALLOW
            };
            assert_eq!(
                run(&program, audit, socket, [family, 1, 0, 0, 0, 0]),
                wanted,
                "{arch:?} {family}"
            );
        }
    }
}

/// By name: what x32 numbers itself, it must not have from x86_64 as well.
#[test]
fn x32_has_each_name_once() {
    let family = &table::families(Arch::X86_64)[0];
    let mut names = std::collections::BTreeSet::new();
    (family.members[1].each)(&mut |name, _| assert!(names.insert(name), "{name} twice"));
    assert_eq!(number(Arch::X32, "execve"), X32_BIT + 520);
    assert_eq!(number(Arch::X32, "openat2"), X32_BIT + 437);
    assert!(!names.contains("vserver") && !names.contains("uselib"));
}

#[test]
fn capabilities_open_their_groups() {
    for (capability, name) in [
        ("CAP_SYS_ADMIN", "mount"),
        ("CAP_SYS_ADMIN", "clone3"),
        ("CAP_SYS_BOOT", "reboot"),
        ("CAP_SYS_CHROOT", "chroot"),
        ("CAP_SYS_MODULE", "finit_module"),
        ("CAP_SYS_PACCT", "acct"),
        ("CAP_SYS_PTRACE", "kcmp"),
        ("CAP_SYS_RAWIO", "iopl"),
        ("CAP_SYS_TIME", "settimeofday"),
        ("CAP_SYS_TTY_CONFIG", "vhangup"),
        ("CAP_SYS_NICE", "mbind"),
        ("CAP_SYSLOG", "syslog"),
        ("CAP_BPF", "bpf"),
        ("CAP_PERFMON", "perf_event_open"),
        ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ] {
        let ask = |capabilities: &[&str]| {
            let program =
                compile_for(&profile(capabilities, Arch::X86_64), Arch::X86_64).expect("compiles");
            run(&program, X86_64, number(Arch::X86_64, name), [0; 6])
        };
        assert_ne!(ask(&[]), ALLOW, "{name}");
        assert_eq!(ask(&[capability]), ALLOW, "{name}");
    }
}

#[test]
fn other_architectures_are_killed_and_new_numbers_do_not_exist() {
    let mut seccomp = profile(&[], Arch::X86_64);
    let all = compile_for(&seccomp, Arch::X86_64).expect("compiles");
    for number in [467, 600, X32_BIT - 1, X32_BIT + 548, u32::MAX] {
        assert_eq!(run(&all, X86_64, number, [0; 6]), ENOSYS, "{number}");
    }
    assert_eq!(run(&all, AARCH64, 0, [0; 6]), KILL);
    seccomp.architectures.clear();
    let native = compile_for(&seccomp, Arch::X86_64).expect("compiles");
    assert_eq!(run(&native, X86_64, 0, [0; 6]), ALLOW);
    assert_eq!(run(&native, X86_64, X32_BIT, [0; 6]), KILL);
    assert_eq!(run(&native, X86_64, u32::MAX, [0; 6]), ENOSYS);
    assert_eq!(run(&native, I386, 3, [0; 6]), KILL);
}

#[test]
fn every_comparison_at_its_edges() {
    let edges = [
        0,
        1,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        1 << 32,
        (1 << 32) + 1,
        5 << 32,
        u64::MAX - 1,
        u64::MAX,
    ];
    for op in [
        Operator::Equal,
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
        Operator::MaskedEqual,
    ] {
        for value in edges {
            for value_two in [0, value, 1 << 32] {
                let argument = Argument {
                    index: 2,
                    value,
                    value_two,
                    op,
                };
                let seccomp = one_rule(vec![argument]);
                let program = compile_for(&seccomp, Arch::X86_64).expect("compiles");
                for arg in edges {
                    let args = [9, 9, arg, 9, 9, 9];
                    assert_eq!(
                        run(&program, X86_64, 0, args),
                        judge(&seccomp, "read", args, false),
                        "{op:?} {value:x} {arg:x}"
                    );
                    assert_eq!(
                        run(&program, I386, 3, args),
                        judge(&seccomp, "read", args, true),
                        "{op:?} {value:x} {arg:x}"
                    );
                }
            }
        }
    }
}

fn one_rule(args: Vec<Argument>) -> Seccomp {
    Seccomp {
        default_action: Action::Errno,
        default_errno_ret: None,
        architectures: vec![Arch::X86],
        flags: Vec::new(),
        listener_path: None,
        listener_metadata: None,
        syscalls: vec![Syscall {
            names: vec!["read".into()],
            action: Action::Allow,
            errno_ret: None,
            args,
        }],
    }
}

#[test]
fn conditions_on_one_argument_are_alternatives_on_several_all_must_hold() {
    let equal = |index, value| Argument {
        index,
        value,
        value_two: 0,
        op: Operator::Equal,
    };
    let ask = |args: Vec<Argument>, given| {
        run(
            &compile_for(&one_rule(args), Arch::X86_64).expect("compiles"),
            X86_64,
            0,
            given,
        )
    };
    assert_eq!(
        ask(vec![equal(0, 1), equal(0, 2)], [2, 0, 0, 0, 0, 0]),
        ALLOW
    );
    assert_eq!(
        ask(vec![equal(0, 1), equal(1, 2)], [1, 0, 0, 0, 0, 0]),
        EPERM
    );
    assert_eq!(
        ask(vec![equal(0, 1), equal(1, 2)], [1, 2, 0, 0, 0, 0]),
        ALLOW
    );
}

#[test]
fn far_targets_are_reached() {
    // Every call with forty conditions of its own: far beyond what a conditional jump spans.
    let mut seccomp = one_rule(Vec::new());
    seccomp.architectures.push(Arch::X32);
    seccomp.syscalls.clear();
    let mut seed = 7_u64;
    let mut random = move || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    for name in [
        "read", "write", "close", "stat", "poll", "mmap", "ioctl", "pipe",
    ] {
        for value in 0..40 {
            let action =
                [Action::Allow, Action::Trap, Action::KillProcess][(random() % 3) as usize];
            let op = [Operator::Equal, Operator::GreaterOrEqual][usize::from(value % 8 == 7)];
            let args = vec![Argument {
                index: (random() % 6) as u32,
                value: value + 100 * (random() % 4),
                value_two: 0,
                op,
            }];
            seccomp.syscalls.push(Syscall {
                names: vec![name.into()],
                action,
                errno_ret: None,
                args,
            });
        }
    }
    assert!(compare(&seccomp, Arch::X86_64) > 1000);
}

#[test]
fn an_allowing_profile_keeps_allowing_what_is_new() {
    let mut seccomp = one_rule(Vec::new());
    seccomp.default_action = Action::Allow;
    seccomp.syscalls[0].action = Action::Errno;
    seccomp.syscalls[0].errno_ret = Some(13);
    let program = compile_for(&seccomp, Arch::X86_64).expect("compiles");
    assert_eq!(run(&program, X86_64, 0, [0; 6]), 0x0005_000d);
    assert_eq!(run(&program, X86_64, 9999, [0; 6]), ALLOW);
}

#[test]
fn bad_profiles_are_refused() {
    let mut seccomp = one_rule(vec![Argument {
        index: 6,
        value: 0,
        value_two: 0,
        op: Operator::Equal,
    }]);
    assert!(matches!(
        compile(&seccomp),
        Err(Error::Argument { index: 6, .. })
    ));
    seccomp.syscalls[0].args.clear();
    seccomp.default_errno_ret = Some(5000);
    assert!(matches!(compile(&seccomp), Err(Error::Errno(5000))));
    for bad in [
        r#"{"defaultAction":"SCMP_ACT_MAYBE"}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86"}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}"#,
        "[]",
    ] {
        assert!(Profile::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let old = r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW","args":null}]}"#;
    assert_eq!(
        Profile::parse(old.as_bytes())
            .expect("is fine")
            .fit::<&str>(&[])
            .syscalls[0]
            .names,
        ["read"]
    );
}

/// The kernel takes the filter and obeys it. On a thread of its own: a filter stays for ever.
#[test]
fn the_kernel_obeys() {
    use rustix::net::{AddressFamily, SocketType, socket};
    let program = compile(&default_profile::<&str>(&[])).expect("compiles");
    let asked = std::thread::spawn(move || {
        onggi_sys::seccomp::load(&program, 0).expect("loads");
        let ask =
            |family| socket(AddressFamily::from_raw(family), SocketType::SEQPACKET, None).err();
        (
            ask(38),
            ask(1),
            std::os::unix::fs::chroot("/")
                .err()
                .and_then(|e| e.raw_os_error()),
        )
    });
    let (alg, unix, chroot) = asked.join().expect("lives");
    assert_eq!(alg, Some(rustix::io::Errno::PERM));
    assert_eq!(unix, None);
    assert_eq!(chroot, Some(1));
}
