"""docker (PyPI): containers made, changed, listed, ended and removed, and what is refused."""

import docker
from docker.types import (
    DeviceRequest,
    Healthcheck,
    LogConfig,
    Mount,
    Ulimit,
)

from cases import case, client, container, raises, run, until


@case
def run_returns_what_was_printed():
    assert client.containers.run("busybox", "echo hello", remove=True) == b"hello\n"
    both = client.containers.run(
        "busybox", ["sh", "-c", "echo out; echo err >&2"], stdout=True, stderr=True, remove=True
    )
    assert sorted(both.split(b"\n")) == [b"", b"err", b"out"], both
    with raises(docker.errors.ContainerError, text="why") as _:
        client.containers.run("busybox", ["sh", "-c", "echo why >&2; exit 3"], remove=True)
    try:
        client.containers.run("busybox", ["sh", "-c", "exit 4"], remove=True)
    except docker.errors.ContainerError as error:
        assert error.exit_status == 4, error
    until("--rm", lambda: not client.containers.list(all=True))
    lines = client.containers.run("busybox", "seq 3", stream=True, remove=True)
    assert b"".join(lines) == b"1\n2\n3\n"


@case
def create_knows_every_option():
    made = client.containers.create(
        "busybox",
        ["sleep", "1000"],
        auto_remove=False,
        blkio_weight=0,
        cap_add=["NET_ADMIN"],
        cap_drop=["MKNOD"],
        cgroupns="private",
        cpu_period=50000,
        cpu_quota=25000,
        cpu_shares=512,
        cpuset_cpus="0",
        cpuset_mems="0",
        device_cgroup_rules=["c 13:* rwm"],
        device_requests=[],
        devices=["/dev/zero:/dev/nothing:r"],
        dns=["10.0.0.1"],
        dns_opt=["ndots:2"],
        dns_search=["pots.test"],
        domainname="pots.test",
        entrypoint=None,
        environment={"A": "1", "EMPTY": ""},
        extra_hosts={"other": "10.0.0.2"},
        group_add=["4"],
        healthcheck=Healthcheck(test=["CMD", "true"], interval=1_000_000_000, retries=2),
        hostname="pot",
        init=True,
        ipc_mode="shareable",
        labels={"a": "b", "c": ""},
        log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m"}),
        mac_address=None,
        mem_limit="64m",
        mem_reservation="32m",
        mem_swappiness=10,
        memswap_limit="128m",
        mounts=[
            Mount("/bind", "/tmp", type="bind", read_only=True),
            Mount("/memory", None, type="tmpfs", tmpfs_size=1 << 20),
            Mount("/kept", "clients-kept", type="volume", labels={"of": "clients"}),
        ],
        name="everything",
        network_mode="bridge",
        oom_kill_disable=False,
        oom_score_adj=100,
        pid_mode=None,
        pids_limit=50,
        ports={"80/tcp": ("127.0.0.1", 8088), "81/tcp": None, "53/udp": [5353, 5354]},
        privileged=False,
        read_only=True,
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 3},
        security_opt=["no-new-privileges"],
        shm_size="1m",
        stdin_open=True,
        stop_signal="SIGUSR1",
        sysctls={"net.ipv4.ip_forward": "1"},
        tmpfs={"/run": "size=1m"},
        tty=False,
        ulimits=[Ulimit(name="nofile", soft=100, hard=200)],
        user="1000:1000",
        volumes={"/tmp": {"bind": "/second", "mode": "ro"}, "clients-named": {"bind": "/named"}},
        working_dir="/tmp",
    )
    try:
        assert made.status == "created" and made.name == "everything", made.attrs
        config, host = made.attrs["Config"], made.attrs["HostConfig"]
        assert config["Hostname"] == "pot" and config["Domainname"] == "pots.test"
        assert {"A=1", "EMPTY="} <= set(config["Env"]), config["Env"]
        assert config["User"] == "1000:1000" and config["WorkingDir"] == "/tmp"
        assert config["StopSignal"] == "SIGUSR1" and config["OpenStdin"]
        assert config["Healthcheck"]["Test"] == ["CMD", "true"], config
        assert set(config["ExposedPorts"]) == {"80/tcp", "81/tcp", "53/udp"}, config
        assert made.labels["a"] == "b" and made.labels["c"] == ""
        wanted = {
            "CapAdd": ["CAP_NET_ADMIN"],
            "CapDrop": ["CAP_MKNOD"],
            "CpuPeriod": 50000,
            "CpuQuota": 25000,
            "CpuShares": 512,
            "CpusetCpus": "0",
            "DeviceCgroupRules": ["c 13:* rwm"],
            "Dns": ["10.0.0.1"],
            "DnsOptions": ["ndots:2"],
            "DnsSearch": ["pots.test"],
            "ExtraHosts": ["other:10.0.0.2"],
            "GroupAdd": ["4"],
            "Init": True,
            "IpcMode": "shareable",
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
            "Memory": 64 << 20,
            "MemoryReservation": 32 << 20,
            "MemorySwap": 128 << 20,
            "MemorySwappiness": 10,
            "NetworkMode": "bridge",
            "OomScoreAdj": 100,
            "PidsLimit": 50,
            "ReadonlyRootfs": True,
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
            "SecurityOpt": ["no-new-privileges"],
            "ShmSize": 1 << 20,
            "Sysctls": {"net.ipv4.ip_forward": "1"},
            "Tmpfs": {"/run": "size=1m"},
            "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
        }
        for name, value in wanted.items():
            # Docker 20.10 keeps capabilities as they were given.
            found = host[name]
            if name.startswith("Cap"):
                found = ["CAP_" + one.removeprefix("CAP_") for one in found]
            assert found == value, f"{name}: {found} instead of {value}"
        binding = {"HostIp": "127.0.0.1", "HostPort": "8088"}
        assert host["PortBindings"]["80/tcp"] == [binding], host["PortBindings"]
        targets = {mount["Destination"] for mount in made.attrs["Mounts"]}
        assert {"/bind", "/kept", "/second", "/named"} <= targets, targets
        made.start()
        made.reload()
        assert made.ports["80/tcp"] == [binding], made.ports
        code, said = made.exec_run(["sh", "-c", "hostname; id -u; ulimit -n; pwd; echo $A"])
        assert code == 0 and said == b"pot\n1000\n100\n/tmp\n1\n", said
        until("health", lambda: (made.reload(), made.health == "healthy")[1])
    finally:
        made.remove(force=True, v=True)
        for name in ["clients-kept", "clients-named"]:
            client.volumes.get(name).remove()


@case
def the_whole_life():
    with container(["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 1 & wait; done"]) as one:
        one.reload()
        assert one.status == "running" and one.attrs["State"]["Pid"] > 0
        one.pause()
        one.reload()
        assert one.status == "paused"
        one.unpause()
        one.rename("renamed")
        one.reload()
        assert one.name == "renamed" and client.containers.get("renamed").id == one.id
        started = one.attrs["State"]["StartedAt"]
        one.restart(timeout=20)
        one.reload()
        assert one.status == "running" and one.attrs["State"]["StartedAt"] != started
        updated = one.update(mem_limit="32m", memswap_limit="64m", restart_policy={"Name": "no"})
        assert updated["Warnings"] in (None, []), updated
        one.reload()
        assert one.attrs["HostConfig"]["Memory"] == 32 << 20
        top = one.top()
        assert "PID" in top["Titles"] and any("sh" in " ".join(row) for row in top["Processes"])
        assert one.top(ps_args="-o pid,comm")["Titles"] == ["PID", "COMMAND"]
        one.exec_run("touch /made")
        assert {"Path": "/made", "Kind": 1} in one.diff(), one.diff()
        image = one.commit("clients/made", "v1", message="why", author="who", changes="ENV B=2")
        assert image.tags == ["clients/made:v1"], image.tags
        said = client.containers.run("clients/made:v1", ["sh", "-c", "ls /made; echo $B"], remove=True)
        assert said == b"/made\n2\n", said
        client.images.remove("clients/made:v1")
        one.stop(timeout=20)
        ended = one.wait()
        assert ended["StatusCode"] in (0, 5), ended
        one.start()
        one.kill("SIGKILL")
        assert one.wait()["StatusCode"] == 137
        one.reload()
        assert one.status == "exited" and not one.attrs["State"]["OOMKilled"]
        one.remove()
        with raises(docker.errors.NotFound, 404, "No such container"):
            one.reload()


@case
def waiting_knows_conditions():
    made = client.containers.create("busybox", ["sh", "-c", "exit 6"])
    # A container that never ran is not running.
    assert made.wait()["StatusCode"] == 0
    made.start()
    assert made.wait()["StatusCode"] == 6
    made.remove()
    with container(["sh", "-c", "read line; exit 7"], stdin_open=True, auto_remove=True) as one:
        socket = one.attach_socket(params={"stdin": 1, "stream": 1})
        socket._sock.sendall(b"go\n")
        ended = one.wait(condition="removed")
        assert ended["StatusCode"] == 7, ended
    with raises(docker.errors.NotFound, 404):
        one.reload()


@case
def lists_are_filtered():
    with container(name="first", labels={"tier": "front"}) as first, container(
        ["sh", "-c", "exit 3"], name="second", labels={"tier": "back"}
    ) as second:
        second.wait()

        def names(**options):
            return sorted(one.name for one in client.containers.list(**options))

        assert names() == ["first"]
        assert names(all=True) == ["first", "second"]
        for filters, expected in [
            ({"name": "sec"}, ["second"]),
            ({"id": first.id[:20]}, ["first"]),
            ({"label": "tier"}, ["first", "second"]),
            ({"label": "tier=front"}, ["first"]),
            ({"label": ["tier=front", "other"]}, []),
            ({"status": "exited"}, ["second"]),
            ({"status": ["exited", "running"]}, ["first", "second"]),
            ({"exited": 3}, ["second"]),
            ({"exited": 4}, []),
            ({"ancestor": "busybox"}, ["first", "second"]),
            ({"ancestor": "other"}, []),
            ({"before": "second"}, ["first"]),
            ({"since": "first"}, ["second"]),
            ({"network": "bridge"}, ["first", "second"]),
            ({"health": "none"}, ["first", "second"]),
        ]:
            assert names(all=True, filters=filters) == expected, filters
        assert names(limit=1) == ["second"]
        sparse = client.containers.list(all=True, sparse=True)
        assert {one.status for one in sparse} == {"running", "exited"}, sparse
        assert {one.attrs["Image"] for one in sparse} == {"busybox"}
        sized = client.api.containers(all=True, size=True)
        assert all("SizeRootFs" in one for one in sized), sized
        with raises(docker.errors.APIError, 400):
            client.containers.list(filters={"nothing": "x"})


@case
def pruning_takes_what_has_ended():
    with container(name="lives"), container("true", name="ended", labels={"prune": "me"}) as ended:
        ended.wait()
        assert client.containers.prune({"label": "prune=not"})["ContainersDeleted"] is None
        pruned = client.containers.prune({"label": "prune=me"})
        assert pruned["ContainersDeleted"] == [ended.id], pruned
        assert pruned["SpaceReclaimed"] >= 0
        assert [one.name for one in client.containers.list(all=True)] == ["lives"]


@case
def failures_have_their_exceptions():
    with raises(docker.errors.NotFound, 404, "No such container: nobody"):
        client.containers.get("nobody")
    with raises(docker.errors.ImageNotFound, 404):
        client.images.get("nothing-of-that-name")
    with raises(docker.errors.ImageNotFound, 404, "No such image: nothing:of-that-name"):
        client.containers.create("nothing:of-that-name")
    with container(name="taken") as one:
        with raises(docker.errors.APIError, 409, "is already in use by container"):
            client.containers.create("busybox", name="taken")
        with raises(docker.errors.APIError, 409):
            one.remove()
        with raises(docker.errors.APIError, 409):
            one.unpause()
        with raises(docker.errors.NotFound, 404):
            client.api.exec_inspect("0" * 64)
        with raises(docker.errors.APIError, 400):
            one.kill("SIGNONSENSE")
        with raises(docker.errors.APIError, 400):
            one.rename("")
        one.stop(timeout=0)
        with raises(docker.errors.APIError, 409, "is not running"):
            one.kill()
        with raises(docker.errors.APIError, 409, "is not running"):
            one.exec_run("true")
        with raises(docker.errors.APIError, 409, "is not running"):
            one.pause()
        one.stop()
    with raises(docker.errors.APIError, 400):
        client.containers.create("busybox", name="not a name")
    with raises(docker.errors.APIError, 400, "Minimum memory limit"):
        client.containers.create("busybox", mem_limit=1024)
    with raises(docker.errors.APIError, 400):
        client.containers.run("busybox", "no-such-program")
    for one in client.containers.list(all=True):
        one.remove(force=True)
    for kind in (docker.errors.NotFound, docker.errors.APIError):
        try:
            client.containers.get("nobody")
        except kind as error:
            assert error.is_client_error() and not error.is_server_error()
    try:
        client.containers.create("busybox", device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])]).start()
    except docker.errors.APIError as error:
        assert "could not select device driver" in str(error), error
    for one in client.containers.list(all=True):
        one.remove(force=True)


run()
