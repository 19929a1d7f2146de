//! Flags and the parameters they become, as Docker's own command line sends them.

use super::super::flags::FLAGS;
use super::super::named::Place;
use super::*;
use crate::args::Positionals;
use crate::args::parse::parse;

fn archive() -> Source {
    Source::Archive {
        dockerfile: String::new(),
    }
}

fn asked(args: &[&str], is_onggi: bool, source: &Source) -> Result<String> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let matches = parse(&[FLAGS], Positionals::Mixed, &args).expect("flags of build");
    let variables = [("HOME", "/root"), ("SOURCE_DATE_EPOCH", "9")];
    let environment: Environment = variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let asked = Asked {
        matches: &matches,
        environment: &environment,
        proxies: &[("HTTP_PROXY".to_owned(), "http://proxy".to_owned())],
        contexts: &[
            Named {
                name: "files".to_owned(),
                place: Place::Local("/srv".into()),
            },
            Named {
                name: "base".to_owned(),
                place: Place::Remote("docker-image://alpine".to_owned()),
            },
        ],
        names: &matches.list("tag"),
        is_onggi,
        is_experimental: false,
        steps: is_onggi,
        quiet: matches.on("quiet"),
    };
    let pairs = query(&asked, source)?;
    let text = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    Ok(text.collect::<Vec<_>>().join(" "))
}

/// What every build of these tests says.
const PROXY: &str = r#""HTTP_PROXY":"http://proxy""#;

#[test]
fn flags_become_the_parameters_of_docker() {
    for (args, wanted) in [
        ("-t a:1 --tag b", "t=a:1 t=b"),
        ("-q", "q=1"),
        ("--quiet=false", ""),
        ("--no-cache", "nocache=1"),
        ("--force-rm", "forcerm=1"),
        ("--rm", ""),
        ("--rm=false", "rm=0"),
        ("--pull", "pull=1"),
        (
            "--cpu-period 1 --cpu-quota 2 -c 3",
            "cpuperiod=1 cpuquota=2 cpushares=3",
        ),
        (
            "--cpuset-cpus 0-1 --cpuset-mems 0",
            "cpusetcpus=0-1 cpusetmems=0",
        ),
        (
            "-m 10m --memory-swap 20m",
            "memory=10485760 memswap=20971520",
        ),
        ("--memory-swap -1", "memswap=-1"),
        ("--shm-size 64m", "shmsize=67108864"),
        ("--cgroup-parent /x", "cgroupparent=/x"),
        ("--network host", "networkmode=host"),
        ("--network default --isolation default", ""),
        ("--isolation process", "isolation=process"),
        ("--platform Linux/AMD64", "platform=linux/amd64"),
        ("--platform linux/amd64,linux/amd64", "platform=linux/amd64"),
        ("--target s", "target=s"),
        (
            "--add-host x:1.2.3.4 --add-host y=[::1]",
            "extrahosts=x:1.2.3.4 extrahosts=y:::1",
        ),
        ("--security-opt a=b,c=d", "securityopt=a=b securityopt=c=d"),
        (
            "--ulimit nofile=1:2 --ulimit core=0 --ulimit nofile=3",
            r#"ulimits=[{"Name":"core","Hard":0,"Soft":0},{"Name":"nofile","Hard":3,"Soft":3}]"#,
        ),
        ("--label b --label a=c=d", r#"labels={"a":"c=d","b":""}"#),
        (
            "--cache-from i,j --cache-from k",
            r#"cachefrom=["i","j","k"]"#,
        ),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        let found = asked(&args, false, &archive()).expect("parameters");
        let found: Vec<&str> = found
            .split(' ')
            .filter(|pair| !pair.starts_with("buildargs=") && *pair != "version=1")
            .collect();
        assert_eq!(found.join(" "), wanted, "{args:?}");
    }
}

#[test]
fn build_arguments_have_their_values_from_here() {
    let found = asked(
        &[
            "--build-arg",
            "A=1=2",
            "--build-arg",
            "HOME",
            "--build-arg",
            "NOPE",
        ],
        false,
        &archive(),
    );
    assert_eq!(
        found.expect("parameters"),
        format!(r#"buildargs={{"A":"1=2","HOME":"/root",{PROXY},"NOPE":null}} version=1"#)
    );
    let found = asked(&["--build-arg", "HTTP_PROXY=mine"], false, &archive());
    assert_eq!(
        found.expect("parameters"),
        r#"buildargs={"HTTP_PROXY":"mine"} version=1"#
    );
}

#[test]
fn the_source_says_which_dockerfile() {
    let remote = Source::Remote {
        url: "https://x/a.git#main".to_owned(),
        dockerfile: "D".to_owned(),
    };
    let found = asked(&[], false, &remote).expect("parameters");
    assert!(
        found.ends_with("dockerfile=D remote=https://x/a.git#main version=1"),
        "{found}"
    );
    let found = asked(&[], false, &Source::Dockerfile(Vec::new())).expect("parameters");
    assert!(
        found.ends_with("dockerfile=Dockerfile version=1"),
        "{found}"
    );
}

#[test]
fn what_is_beyond_docker_goes_to_onggi_alone() {
    for (args, wanted) in [
        (
            "--no-cache-filter a,b --no-cache-filter c",
            r#"nocachefilter=["a","b","c"]"#,
        ),
        ("--cache-to type=inline", r#"cacheto=["type=inline"]"#),
        (
            "--cache-to type=local,dest=/x",
            r#"cacheto=["type=local,dest=/x"]"#,
        ),
        (
            "--cache-to type=registry,ref=r/i,mode=max",
            r#"cacheto=["type=registry,ref=r/i,mode=max"]"#,
        ),
        (
            "--cache-from type=registry,ref=r/i",
            r#"cachefrom=["type=registry,ref=r/i"]"#,
        ),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        let found = asked(&args, true, &archive()).expect("parameters");
        assert!(found.split(' ').any(|pair| pair == wanted), "{found}");
        let contexts = r#"buildcontexts={"files":"local","base":"docker-image://alpine"}"#;
        assert!(found.contains(contexts), "{found}");
        assert!(found.contains("progress=1"), "{found}");
        let refused = asked(&args, false, &archive()).expect_err("dockerd");
        assert!(
            refused.message.contains("needs onggi's own daemon"),
            "{refused:?}"
        );
    }
}

#[test]
fn what_cannot_be_is_refused() {
    for (args, wanted) in [
        (
            "--platform linux/amd64,linux/arm64",
            "one build makes the image of one platform",
        ),
        (
            "--squash",
            "\"--squash\" is only supported on a Docker daemon with experimental",
        ),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        let refused = asked(&args, true, &archive()).expect_err("refused");
        assert!(
            refused.message.contains(wanted),
            "{args:?}: {}",
            refused.message
        );
    }
}
