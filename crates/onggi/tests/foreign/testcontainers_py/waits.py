"""testcontainers (PyPI): containers for tests, and the ways to wait for them."""

import pathlib
import re
import sys
import tempfile
import traceback
import urllib.request
from datetime import timedelta

import docker
from testcontainers.core.container import DockerContainer, ExecConfig
from testcontainers.core.wait_strategies import (
    CompositeWaitStrategy,
    ContainerStatusWaitStrategy,
    ExecWaitStrategy,
    FileExistsWaitStrategy,
    HealthcheckWaitStrategy,
    HttpWaitStrategy,
    LogMessageWaitStrategy,
    PortWaitStrategy,
)

LIMIT = timedelta(seconds=60)
OFTEN = timedelta(milliseconds=50)
SERVER = ["sh", "-c", "mkdir -p /www; echo hello > /www/index.html; httpd -p 8080 -h /www; echo ready; sleep 1000"]
_CASES = []


def case(function):
    _CASES.append(function)
    return function


def patient(strategy):
    """A strategy that is patient, and asks often."""
    return strategy.with_startup_timeout(LIMIT).with_poll_interval(OFTEN)


def fetch(container, port):
    address = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(port)}/"
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read()


@case
def a_server_is_waited_for_by_its_log():
    for strategy in [LogMessageWaitStrategy("ready"), LogMessageWaitStrategy(re.compile("^re.dy$", re.MULTILINE))]:
        with DockerContainer("busybox", command=SERVER).with_exposed_ports(8080).waiting_for(patient(strategy)) as one:
            assert fetch(one, 8080) == b"hello\n"
            assert one.get_logs() == (b"ready\n", b"")


@case
def ports_http_and_files_are_waited_for():
    both = CompositeWaitStrategy(
        patient(PortWaitStrategy(8080)),
        patient(HttpWaitStrategy(8080).for_status_code(200).for_response_predicate(lambda text: "hello" in text)),
        patient(ContainerStatusWaitStrategy()),
        patient(ExecWaitStrategy(["test", "-d", "/www"])),
    )
    with DockerContainer("busybox", command=SERVER).with_exposed_ports(8080).waiting_for(both) as one:
        assert fetch(one, 8080) == b"hello\n"
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "made"
        made = DockerContainer("busybox", command=["sh", "-c", "touch /shared/made; sleep 1000"])
        with made.with_volume_mapping(folder, "/shared", "rw").waiting_for(patient(FileExistsWaitStrategy(path))):
            assert path.exists()


@case
def health_is_waited_for():
    check = {"test": ["CMD-SHELL", "test -e /ready"], "interval": 200_000_000, "retries": 100}
    made = DockerContainer("busybox", command=["sh", "-c", "touch /ready; sleep 1000"], healthcheck=check)
    with made.waiting_for(patient(HealthcheckWaitStrategy())) as one:
        assert one.get_wrapped_container().health == "healthy"


@case
def one_that_ends_is_not_waited_for():
    made = DockerContainer("busybox", command=["sh", "-c", "echo no; exit 3"])
    try:
        with made.waiting_for(patient(LogMessageWaitStrategy("ready"))):
            raise AssertionError("it was ready")
    except RuntimeError as error:
        assert "exit code: 3" in str(error), error
    with DockerContainer("busybox", command=["sh", "-c", "exit 4"]) as one:
        assert one.wait() == 4


@case
def options_commands_and_files():
    made = (
        DockerContainer("127.0.0.1:5000/library/busybox:latest", command=["sleep", "1000"])
        .with_env("A", "1")
        .with_envs(B="2")
        .with_name("by-testcontainers")
        .with_tmpfs_mount("/memory", "size=1m")
        .with_copy_into_container(b"content", "/tmp/copied.txt")
        .with_kwargs(mem_limit="64m", cap_drop=["MKNOD"], user="0")
    )
    with made as one:
        told = one.get_wrapped_container()
        assert told.name == "by-testcontainers" and "org.testcontainers" in told.labels, told.labels
        assert told.attrs["HostConfig"]["Memory"] == 64 << 20
        found = one.exec(["sh", "-c", "echo $A$B; cat /tmp/copied.txt; df /memory | tail -1 | wc -l"])
        assert (found.exit_code, found.output) == (0, b"12\ncontent1\n"), found
        config = ExecConfig(command=["sh", "-c", "id -u; pwd; echo $C; exit 5"], user="7", workdir="/tmp", environment={"C": "3"})
        found = one.exec(config)
        assert (found.exit_code, found.output) == (5, b"7\n/tmp\n3\n"), found
        one.copy_into_container(b"later", "/tmp/later.txt")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "later.txt"
            one.copy_from_container("/tmp/later.txt", path)
            assert path.read_bytes() == b"later"


@case
def nothing_is_left():
    assert docker.from_env(timeout=60).containers.list(all=True) == []


failed = 0
for function in _CASES:
    try:
        function()
        print("ok", function.__name__, flush=True)
    except Exception:
        failed += 1
        print("FAILED", function.__name__, flush=True)
        traceback.print_exc(file=sys.stdout)
sys.exit(1 if failed else 0)
