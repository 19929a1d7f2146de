//! Recipes are good when the requests they make are those they were made from.

use serde_json::{Value, json};

use super::compose::compose;
use super::run::run;
use super::*;
use crate::args::{Positionals, parse};
use crate::container::{flags, request};
use crate::settings::Environment;

fn create(words: &[String]) -> Value {
    let matches = parse::parse(&[flags::CREATE], Positionals::Last, words)
        .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let environment: Environment = Environment::new();
    let request = request::create_request(&matches, &environment, onggi_client::NEWEST);
    let request = request.unwrap_or_else(|error| panic!("{words:?}: {}", error.message));
    let mut document = serde_json::to_value(&request).unwrap();
    document["Name"] = matches.text("name").into();
    document
}

/// What `inspect` would show of a container made by `request`.
fn inspected(request: &Value) -> Value {
    let mut host = request["HostConfig"].clone();
    let mut config = request.clone();
    for key in ["HostConfig", "NetworkingConfig", "Name"] {
        config.as_object_mut().unwrap().shift_remove(key);
    }
    if host["ShmSize"] == 0 {
        host["ShmSize"] = 67_108_864.into();
    }
    json!({
        "Id": "f50a9f4458c37797",
        "Name": format!("/{}", request["Name"].as_str().unwrap()),
        "Config": config,
        "HostConfig": host,
        "NetworkSettings": {"Networks": request["NetworkingConfig"]["EndpointsConfig"]},
    })
}

fn recipe(line: &str) -> (Value, Recipe) {
    let words: Vec<String> = if line.contains('|') {
        line.split('|').map(str::to_owned).collect()
    } else {
        line.split(' ').map(str::to_owned).collect()
    };
    let request = create(&words);
    let recipe = Recipe::new(&inspected(&request), &Value::Null, &Defaults::default());
    (request, recipe)
}

#[test]
fn a_recipe_makes_the_same_request_again() {
    for line in [
        "busybox",
        "busybox echo hi -t --rm",
        "-it busybox sh",
        "--name x --hostname h --domainname d -u 1:2 -w /tmp busybox",
        "-e A=1 -e B= -l a=b -l c busybox",
        "-p 80 -p 8080:81 -p 127.0.0.1:8082:82/udp -p 83-85:83-85 -p [::1]:86:86 busybox",
        "-P --expose 90 --expose 91-93/udp busybox",
        "-v /a:/b -v /c:/d:ro -v vol:/e -v /anon busybox",
        "--tmpfs /t --tmpfs /u:size=1m,mode=700 busybox",
        "--mount type=bind,source=/x,target=/y,readonly,bind-propagation=rshared,bind-nonrecursive busybox",
        "--mount type=volume,src=v,dst=/z,volume-nocopy,volume-label=a=b,volume-driver=d,volume-opt=k=v busybox",
        "--mount type=volume,dst=/z,volume-subpath=p,ro=true busybox",
        "--mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777 busybox",
        "--mount type=bind,src=/x,dst=/y,ro,bind-recursive=readonly,bind-propagation=rprivate busybox",
        "--mount type=image,src=i,dst=/y,image-subpath=s busybox",
        "-m 512m --memory-swap -1 --memory-reservation 256m --memory-swappiness 10 --oom-kill-disable --oom-score-adj -5 busybox",
        "--cpus 1.5 --cpuset-cpus 0-1 --cpuset-mems 0 -c 512 --cpu-period 1 --cpu-quota 2 --cpu-rt-period 3 --cpu-rt-runtime 4 busybox",
        "--pids-limit 100 --ulimit nofile=10:20 --ulimit core=0 --shm-size 1g busybox",
        "--blkio-weight 100 --blkio-weight-device /dev/sda:200 --device-read-bps /dev/sda:1mb --device-write-iops /dev/sda:4 busybox",
        "--device /dev/null --device /dev/zero:/dev/z:r --device vendor.com/class=name busybox",
        "--device-cgroup-rule|c 1:* rwm|busybox",
        "--gpus all busybox",
        "--gpus 2 busybox",
        "--gpus|\"device=0,1\",\"capabilities=compute,utility\",driver=nvidia|busybox",
        "--network foo --network-alias a --network-alias b --ip 10.0.0.2 --ip6 fd00::2 --link-local-ip 169.254.1.1 --link x:y busybox",
        "--network name=foo,alias=a,ip=10.0.0.2,driver-opt=k=v,gw-priority=3 --network bar busybox",
        "--network host busybox",
        "--network container:abc busybox",
        "--dns 1.1.1.1 --dns-search a.b --dns-option ndots:1 --add-host a:1.2.3.4 --add-host c:host-gateway busybox",
        "--restart always busybox",
        "--restart on-failure:3 --stop-signal USR1 --stop-timeout 7 busybox",
        "--rm --init=false --read-only busybox",
        "--health-cmd|curl x|--health-interval|5s|--health-timeout|1m|--health-retries|3|--health-start-period|100ms|busybox",
        "--no-healthcheck busybox",
        "--log-driver local --log-opt max-size=1m --log-opt max-file=3 busybox",
        "--privileged --cap-add NET_ADMIN --cap-drop SYS_ADMIN --group-add 5 busybox",
        "--security-opt no-new-privileges --security-opt seccomp=unconfined --security-opt systempaths=unconfined busybox",
        "--pid host --ipc host --uts host --userns host --cgroupns private --cgroup-parent /x busybox",
        "--sysctl net.ipv4.ip_forward=1 --storage-opt size=1g --runtime r --volume-driver d --volumes-from a --volumes-from b:ro busybox",
        "--entrypoint /bin/x busybox a b",
        "--annotation a=b busybox",
    ] {
        let (request, recipe) = recipe(line);
        let mut again = create(&run::words(&recipe));
        let mut request = request;
        for document in [&mut request, &mut again] {
            // The default bridge is said in two ways.
            if document["HostConfig"]["NetworkMode"] == "bridge" {
                document["HostConfig"]["NetworkMode"] = "default".into();
            }
        }
        assert_eq!(again, request, "{line}\n{}", run("onggi", &recipe));
    }
}

#[test]
fn what_the_image_says_is_not_said_again() {
    let image = json!({"Config": {
        "Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": {"a": "b"}, "WorkingDir": "/srv",
        "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}}, "StopSignal": "QUIT",
        "Healthcheck": {"Test": ["CMD", "x"]}, "User": "web", "Entrypoint": null,
    }});
    let mut container = json!({
        "Id": "f50a9f4458c37797", "Name": "/web",
        "Config": image["Config"],
        "HostConfig": {"RestartPolicy": {"Name": "no"}, "LogConfig": {"Type": "json-file"}, "CgroupnsMode": "host", "Runtime": "runc"},
    });
    container["Config"]["Image"] = "shop".into();
    container["Config"]["Hostname"] = "f50a9f4458c3".into();
    container["Config"]["Env"] = json!(["TWO=a b", "PATH=/bin"]);
    let defaults = Defaults {
        log_driver: "json-file".to_owned(),
        runtime: "runc".to_owned(),
        cgroupns: "host".to_owned(),
    };
    let recipe = Recipe::new(&container, &image, &defaults);
    assert_eq!(
        run("docker", &recipe),
        "docker run --detach \\\n  --env 'TWO=a b' \\\n  --name web \\\n  shop\n"
    );
}

#[test]
fn compose_files_say_the_same() {
    let words = "--name|web|-p|8080:80|-e|A=$1|-v|data:/data|-v|/etc/x:/x:ro|--mount|type=tmpfs,dst=/t,tmpfs-size=1m|--ulimit|nofile=10:20|--network|name=back,alias=db|--health-cmd|curl x|--health-interval|5s|--log-opt|max-size=1m|--restart|always|--cpuset-mems|0|--stop-timeout|7|--memory|1g|-t|shop:1|serve|no";
    let (_, recipe) = recipe(words);
    assert_eq!(
        compose(&recipe),
        r#"# Compose has no word for --cpuset-mems.
services:
  web:
    image: "shop:1"
    environment:
      - "A=$$1"
    healthcheck:
      test:
        - CMD-SHELL
        - "curl x"
      interval: "5s"
    logging:
      options:
        max-size: "1m"
    mem_limit: "1g"
    volumes:
      - type: tmpfs
        target: /t
        tmpfs:
          size: "1m"
      - "data:/data"
      - "/etc/x:/x:ro"
    container_name: web
    networks:
      back:
        aliases:
          - db
    ports:
      - "8080:80"
    restart: always
    stop_grace_period: "7s"
    tty: true
    ulimits:
      nofile:
        soft: 10
        hard: 20
    command:
      - serve
      - "no"
networks:
  back:
    external: true
    name: back
volumes:
  data:
    external: true
    name: data
"#
    );
}
