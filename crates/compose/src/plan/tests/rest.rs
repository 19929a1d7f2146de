//! Scale, options of `up`, what interrupted updates leave, and everything that is not `up`.

use super::{acts, after_up, anew, application, container, nothing, up, waits};
use crate::State;
use crate::command::{Down, Kill, Recreate, Remove, Restart, Rmi, Start, Stop, Up};
use crate::plan::{self, Act, Facts};

const FILE: &str = "
services:
  web: {image: i, depends_on: [db]}
  db: {image: d, hostname: one}
  job: {build: ., volumes: [data:/data]}
volumes: {data: {}}
";

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn everything_is_made_where_nothing_is() {
    let application = application(FILE);
    let plan = up(&application, &Facts::default(), &Up::default());
    let mut made = acts(&plan);
    made.sort();
    let wanted = [
        "build image p-job",
        "create container p-db-1",
        "create container p-job-1",
        "create container p-web-1",
        "create network p_default",
        "create volume p_data",
        "pull image d",
        "pull image i",
        "start container p-db-1",
        "start container p-job-1",
        "start container p-web-1",
    ];
    assert_eq!(made, wanted);
    for (later, earlier) in [
        ("create container p-web-1", "pull image i"),
        ("create container p-job-1", "build image p-job"),
        ("create container p-job-1", "create volume p_data"),
        ("create container p-db-1", "create network p_default"),
        ("start container p-web-1", "start container p-db-1"),
    ] {
        assert!(waits(&plan, later, earlier), "{later}: {earlier}");
    }
    assert!(
        plan.to_string()
            .contains("create container p-web-1: it is missing (after "),
        "{plan}"
    );
}

#[test]
fn options_choose_services_and_what_is_made_anew() {
    let before = application(FILE);
    let facts = after_up(&before);
    let after = application(&FILE.replace("hostname: one", "hostname: two"));
    let rows: [(Up, &[&str]); 8] = [
        (Up::default(), &["db"]),
        (
            Up {
                services: named(&["web"]),
                ..Up::default()
            },
            &["db"],
        ),
        (
            Up {
                services: named(&["web"]),
                no_deps: true,
                ..Up::default()
            },
            &[],
        ),
        (
            Up {
                services: named(&["job"]),
                ..Up::default()
            },
            &[],
        ),
        (
            Up {
                recreate: Recreate::Force,
                ..Up::default()
            },
            &["db", "job", "web"],
        ),
        (
            Up {
                recreate: Recreate::Force,
                services: named(&["web"]),
                ..Up::default()
            },
            &["db", "web"],
        ),
        (
            Up {
                recreate: Recreate::Never,
                recreate_dependencies: Recreate::Never,
                ..Up::default()
            },
            &[],
        ),
        (
            Up {
                recreate: Recreate::Never,
                recreate_dependencies: Recreate::Force,
                services: named(&["web"]),
                ..Up::default()
            },
            &["db"],
        ),
    ];
    for (options, wanted) in rows {
        let mut made = anew(&up(&after, &facts, &options));
        made.sort();
        assert_eq!(made, wanted, "{options:?}");
    }
    let options = Up {
        services: named(&["nobody"]),
        ..Up::default()
    };
    let error = plan::up(&after, &facts, &options).unwrap_err();
    assert_eq!(error.to_string(), "no such service: nobody");
}

#[test]
fn create_starts_nothing() {
    let options = Up {
        no_start: true,
        ..Up::default()
    };
    let plan = up(&application(FILE), &Facts::default(), &options);
    let starts = plan
        .operations
        .iter()
        .any(|one| matches!(one.act, Act::Start { .. } | Act::Await { .. }));
    assert!(!starts, "{plan}");
}

#[test]
fn scale_adds_at_the_end_and_takes_from_there() {
    let text = "services: {web: {image: i, scale: 3, hostname: one}}";
    let three = application(text);
    let facts = after_up(&three);
    let scaled = |count| Up {
        scale: [("web".to_owned(), count)].into(),
        ..Up::default()
    };
    let plan = up(&three, &facts, &scaled(5));
    let wanted = [
        "create container p-web-4",
        "start container p-web-4",
        "create container p-web-5",
        "start container p-web-5",
    ];
    assert_eq!(acts(&plan), wanted);
    let plan = up(&three, &facts, &scaled(1));
    let wanted = [
        "stop container p-web-2",
        "remove container p-web-2",
        "stop container p-web-3",
        "remove container p-web-3",
    ];
    assert_eq!(acts(&plan), wanted);
    // Those that would be made anew go first.
    let mut facts = facts;
    facts.observed.containers[0].config_hash = "old".to_owned();
    let plan = up(&three, &facts, &scaled(2));
    assert_eq!(
        acts(&plan),
        ["stop container p-web-1", "remove container p-web-1"]
    );
    let one = application("services: {web: {image: i, container_name: only}}");
    let error = plan::up(&one, &Facts::default(), &scaled(2))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("container_name \"only\" is one container's"),
        "{error}"
    );
}

#[test]
fn what_interrupted_updates_leave_is_removed_or_takes_its_place() {
    let text = "services: {web: {image: i, ports: ['80:80'], deploy: {update_config: {order: start-first}}}}";
    let application = application(text);
    let whole = after_up(&application);
    let mut left = container(&application, "web", 1);
    left.name = format!("0123456789ab_{}", left.name);
    left.id = "left".to_owned();
    left.state = State::Created;
    // Beside the old one it goes.
    let mut facts = whole.clone();
    facts.observed.containers.push(left.clone());
    let plan = up(&application, &facts, &Up::default());
    assert_eq!(acts(&plan), ["remove container 0123456789ab_p-web-1"]);
    // Without the old one it takes its place.
    facts.observed.containers.remove(0);
    let plan = up(&application, &facts, &Up::default());
    assert_eq!(
        acts(&plan),
        ["name container p-web-1", "start container p-web-1"]
    );
    assert!(waits(
        &plan,
        "start container p-web-1",
        "name container p-web-1"
    ));
    // Where it runs and is what the files say, the old one goes.
    let mut facts = whole;
    left.state = State::Running;
    facts.observed.containers.push(left);
    let plan = up(&application, &facts, &Up::default());
    let wanted = [
        "move ports of p-web-1 to 0123456789ab_p-web-1",
        "stop container p-web-1",
        "remove container p-web-1",
        "name container p-web-1",
    ];
    assert_eq!(acts(&plan), wanted);
}

#[test]
fn start_first_goes_one_by_one_where_ports_can_be_moved() {
    let text = "services: {web: {image: i, hostname: one, ports: ['80:80'], deploy: {update_config: {order: start-first}}}}";
    let after = application(&text.replace("one", "two"));
    let mut facts = after_up(&application(text));
    assert_eq!(
        acts(&up(&after, &facts, &Up::default())),
        ["replace container p-web-1"]
    );
    // Other ports cannot be moved: they are not there.
    let other = application(&text.replace("one", "two").replace("80:80", "81:80"));
    let plan = up(&other, &facts, &Up::default());
    assert_eq!(
        acts(&plan),
        ["recreate container p-web-1", "start container p-web-1"]
    );
    assert!(
        plan.warnings[0].contains("published ports change"),
        "{:?}",
        plan.warnings
    );
    facts.moves_ports = false;
    let error = plan::up(&after, &facts, &Up::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("services.web.deploy.update_config.order: start-first cannot be done"),
        "{error}"
    );
    // Without fixed ports any engine can.
    let text = text.replace("ports: ['80:80'], ", "scale: 3, ");
    let mut facts = after_up(&application(&text));
    facts.moves_ports = false;
    let plan = up(
        &application(&text.replace("one", "two")),
        &facts,
        &Up::default(),
    );
    assert!(
        waits(
            &plan,
            "replace container p-web-3",
            "replace container p-web-1"
        ),
        "{plan}"
    );
}

#[test]
fn what_is_external_must_be_there_and_stays() {
    for (text, message) in [
        (
            "services: {web: {image: i, networks: [n]}}\nnetworks: {n: {external: true}}",
            "network n declared as external, but could not be found",
        ),
        (
            "services: {web: {image: i, volumes: ['v:/v']}}\nvolumes: {v: {external: true}}",
            "external volume \"v\" not found",
        ),
    ] {
        let application = application(text);
        let error = plan::up(&application, &Facts::default(), &Up::default())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(message), "{error}");
        let mut facts = after_up(&application);
        assert!(up(&application, &facts, &Up::default()).is_empty());
        facts.observed.networks.clear();
        let away = Down {
            volumes: true,
            ..Down::default()
        };
        let plan = plan::down("p", Some(&application), &facts, &away).unwrap();
        assert!(
            !plan.to_string().contains("network n") && !plan.to_string().contains("volume v"),
            "{plan}"
        );
    }
}

#[test]
fn what_others_made_is_used_with_a_warning() {
    let application = application(FILE);
    let mut facts = after_up(&application);
    facts.networks.get_mut("p_default").unwrap().labels.clear();
    facts.volumes.get_mut("p_data").unwrap().labels = None;
    let plan = up(&application, &facts, &Up::default());
    assert!(plan.is_empty(), "{plan}");
    assert_eq!(plan.warnings.len(), 2, "{:?}", plan.warnings);
}

#[test]
fn down_takes_dependents_first() {
    let application = application(FILE);
    let facts = after_up(&application);
    let options = Down {
        volumes: true,
        images: Rmi::Local,
        ..Down::default()
    };
    for files in [Some(&application), None] {
        let mut facts = facts.clone();
        for one in &mut facts.observed.containers {
            if one.service == "web" {
                one.labels.insert(
                    crate::labels::DEPENDS_ON.to_owned(),
                    "db:service_started:false".to_owned(),
                );
            }
        }
        let plan = plan::down("p", files, &facts, &options).unwrap();
        assert!(
            waits(&plan, "stop container p-db-1", "remove container p-web-1"),
            "{plan}"
        );
        assert!(
            waits(&plan, "remove network p_default", "remove container p-db-1"),
            "{plan}"
        );
        assert!(
            waits(&plan, "remove volume p_data", "remove container p-job-1"),
            "{plan}"
        );
        let images: Vec<String> = acts(&plan)
            .into_iter()
            .filter(|act| act.contains("image"))
            .collect();
        assert_eq!(images, ["remove image p-job"]);
    }
    let options = Down {
        services: named(&["web"]),
        ..Down::default()
    };
    let plan = plan::down("p", Some(&application), &facts, &options).unwrap();
    assert_eq!(
        acts(&plan),
        ["stop container p-web-1", "remove container p-web-1"]
    );
}

#[test]
fn orphans_are_left_alone_unless_they_are_asked_for() {
    let facts = after_up(&application(FILE));
    let less = application("services: {db: {image: d, hostname: one}}");
    let plan = plan::down("p", Some(&less), &facts, &Down::default()).unwrap();
    assert!(!plan.to_string().contains("p-web-1"), "{plan}");
    let options = Down {
        remove_orphans: true,
        ..Down::default()
    };
    let plan = plan::down("p", Some(&less), &facts, &options).unwrap();
    assert!(
        plan.to_string()
            .contains("remove container p-web-1: the project has no service web"),
        "{plan}"
    );
}

#[test]
fn containers_that_are_there_are_started_stopped_and_so_on() {
    let application = application(FILE);
    let facts = after_up(&application);
    let files = Some(&application);
    let stop = plan::stop("p", files, &facts, &Stop::default()).unwrap();
    assert!(waits(
        &stop,
        "stop container p-db-1",
        "stop container p-web-1"
    ));
    let mut stopped = facts.clone();
    stopped
        .observed
        .containers
        .iter_mut()
        .for_each(|one| one.state = State::Exited);
    let start = plan::start("p", files, &stopped, &Start::default()).unwrap();
    assert!(waits(
        &start,
        "start container p-web-1",
        "start container p-db-1"
    ));
    assert!(
        plan::start("p", files, &facts, &Start::default())
            .unwrap()
            .is_empty()
    );
    let restart = Restart {
        services: named(&["db"]),
        ..Restart::default()
    };
    let plan = plan::restart("p", files, &facts, &restart).unwrap();
    assert_eq!(acts(&plan), ["restart container p-db-1"]);
    let kill = Kill {
        services: named(&["db"]),
        ..Kill::default()
    };
    assert_eq!(
        acts(&plan::kill("p", files, &facts, &kill).unwrap()),
        ["send KILL to container p-db-1"]
    );
    assert!(
        plan::remove("p", files, &facts, &Remove::default())
            .unwrap()
            .is_empty()
    );
    let remove = Remove {
        stop: true,
        services: named(&["web"]),
        ..Remove::default()
    };
    let plan = plan::remove("p", files, &facts, &remove).unwrap();
    assert_eq!(
        acts(&plan),
        ["stop container p-web-1", "remove container p-web-1"]
    );
    let none = Facts {
        observed: nothing(),
        ..Facts::default()
    };
    let start = Start {
        services: named(&["db"]),
        ..Start::default()
    };
    let error = plan::start("p", files, &none, &start)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("service \"db\" has no container to start"),
        "{error}"
    );
}

#[test]
fn parallelism_says_how_many_are_made_anew_at_once() {
    let text = "services: {web: {image: i, hostname: one, scale: 3, deploy: {update_config: {parallelism: 2}}}}";
    let facts = after_up(&application(text));
    let plan = up(
        &application(&text.replace("one", "two")),
        &facts,
        &Up::default(),
    );
    assert!(
        waits(
            &plan,
            "recreate container p-web-3",
            "start container p-web-1"
        ),
        "{plan}"
    );
    assert!(
        !waits(
            &plan,
            "recreate container p-web-2",
            "start container p-web-1"
        ),
        "{plan}"
    );
}

#[test]
fn images_are_pulled_when_their_policy_says() {
    let day = std::time::Duration::from_secs(24 * 3600);
    for (policy, age, wanted) in [
        ("missing", None, &[][..]),
        ("always", None, &["pull image i"]),
        ("never", None, &[]),
        ("daily", Some(day), &["pull image i"]),
        ("daily", Some(day / 2), &[]),
        ("every_12h", Some(day), &["pull image i"]),
        ("weekly", None, &["pull image i"]),
    ] {
        let application = application(&format!(
            "services: {{web: {{image: i, pull_policy: {policy}}}}}"
        ));
        let mut facts = after_up(&application);
        facts.images.get_mut("i").unwrap().age = age;
        assert_eq!(
            acts(&up(&application, &facts, &Up::default())),
            wanted,
            "{policy}"
        );
    }
    let never = application("services: {web: {image: i, pull_policy: never}}");
    let error = plan::up(&never, &Facts::default(), &Up::default())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("No such image: i"), "{error}");
    let build = application("services: {web: {build: .}}");
    let facts = after_up(&build);
    let options = Up {
        build: true,
        ..Up::default()
    };
    assert_eq!(acts(&up(&build, &facts, &options)), ["build image p-web"]);
    let options = Up {
        no_build: true,
        ..Up::default()
    };
    let error = plan::up(&build, &Facts::default(), &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("image p-web of service \"web\" is not built"),
        "{error}"
    );
}
