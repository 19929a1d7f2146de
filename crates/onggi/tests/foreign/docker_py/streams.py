"""docker (PyPI): logs, attach, exec, statistics and events as they come."""

import datetime
import json
import socket as sockets
import threading

import docker
from docker.utils.socket import frames_iter

from cases import LIMIT, case, client, container, raises, run, until


def read_all(stream, tty):
    """The frames of a socket, joined by stream."""
    found = {}
    for number, bytes_ in frames_iter(stream, tty):
        found[number] = found.get(number, b"") + bytes_
    return found


@case
def logs_of_the_past_and_to_come():
    script = "echo one; echo two >&2; until [ -e /more ]; do usleep 10000; done; echo three"
    with container(["sh", "-c", script]) as one:
        until("two lines", lambda: len(one.logs().splitlines()) == 2)
        assert one.logs(stderr=False) == b"one\n" and one.logs(stdout=False) == b"two\n"
        assert len(one.logs(tail=1).splitlines()) == 1
        assert one.logs(tail=0) == b""
        stamped = one.logs(timestamps=True, stderr=False)
        assert stamped.startswith(b"20") and stamped.endswith(b"Z one\n"), stamped
        follower = one.logs(stream=True, follow=True, stderr=False)
        assert next(follower) == b"one\n"
        one.exec_run("touch /more")
        assert b"".join(follower) == b"three\n"
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        later, earlier = now + datetime.timedelta(days=1), now - datetime.timedelta(days=1)
        assert one.logs(since=later) == b"" and b"three" in one.logs(since=earlier)
        assert one.logs(until=earlier) == b"" and b"three" in one.logs(until=later)
        # A stream can be closed before its end.
        stream = one.logs(stream=True, follow=True)
        stream.close()


@case
def attach_tells_the_streams_apart():
    made = client.containers.create("busybox", ["sh", "-c", "echo out; echo err >&2"])
    stream = made.attach(stream=True, stdout=True, stderr=True, demux=True, logs=False)
    made.start()
    pieces = list(stream)
    assert b"".join(o for o, _ in pieces if o) == b"out\n", pieces
    assert b"".join(e for _, e in pieces if e) == b"err\n", pieces
    made.wait()
    out, err = made.attach(stream=False, logs=True, demux=True)
    assert (out, err) == (b"out\n", b"err\n"), (out, err)
    assert made.attach(stream=False, logs=True, stderr=False) == b"out\n"
    made.remove()


@case
def attach_feeds_standard_input():
    made = client.containers.create("busybox", "cat", stdin_open=True, detach=False)
    made.remove()
    config = client.api.create_container("busybox", "cat", stdin_open=True)
    made = client.containers.get(config["Id"])
    stream = made.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    made.start()
    stream._sock.sendall(b"through\n")
    stream._sock.shutdown(sockets.SHUT_WR)
    assert read_all(stream, tty=False) == {1: b"through\n"}
    assert made.wait()["StatusCode"] == 0
    made.remove()


@case
def attach_to_a_terminal():
    with container("sh", tty=True, stdin_open=True) as one:
        stream = one.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        one.resize(height=40, width=100)
        stream._sock.sendall(b"stty size; exit 4\n")
        said = read_all(stream, tty=True)[1]
        assert b"40 100" in said, said
        assert one.wait()["StatusCode"] == 4


@case
def exec_in_every_way():
    with container() as one:
        both = ["sh", "-c", "echo out; echo err >&2; exit 3"]
        code, output = one.exec_run(both)
        assert code == 3 and sorted(output.split()) == [b"err", b"out"], output
        code, (out, err) = one.exec_run(both, demux=True)
        assert (code, out, err) == (3, b"out\n", b"err\n")
        assert one.exec_run(both, stderr=False)[1] == b"out\n"
        code, stream = one.exec_run(["seq", "3"], stream=True)
        assert code is None and b"".join(stream) == b"1\n2\n3\n"
        code, pieces = one.exec_run(both, stream=True, demux=True)
        pieces = list(pieces)
        assert b"".join(o for o, _ in pieces if o) == b"out\n", pieces
        assert one.exec_run("tty", tty=True)[1].startswith(b"/dev/pts/")
        said = one.exec_run(
            ["sh", "-c", "echo $WORD; id -u; pwd"], environment={"WORD": "w"}, user="1000", workdir="/tmp"
        )
        assert said[1] == b"w\n1000\n/tmp\n", said
        assert one.exec_run("grep CapEff /proc/self/status")[1] != one.exec_run(
            "grep CapEff /proc/self/status", privileged=True
        )[1]
        one.exec_run("touch /detached", detach=True)
        until("a detached process", lambda: one.exec_run("ls /detached")[0] == 0)
        assert one.exec_run("no-such-program")[0] in (126, 127)
        with raises(docker.errors.APIError):
            client.api.exec_create("nobody", "true")


@case
def exec_with_a_socket_and_a_terminal():
    with container() as one:
        for tty in (False, True):
            made = client.api.exec_create(one.id, "sh", stdin=True, tty=tty)
            stream = client.api.exec_start(made["Id"], socket=True, tty=tty)
            running = client.api.exec_inspect(made["Id"])
            assert running["Running"] and running["ContainerID"] == one.id, running
            if tty:
                client.api.exec_resize(made["Id"], height=33, width=99)
            stream._sock.sendall(b"stty size 2>/dev/null; echo said $((40 + 2)); exit 8\n")
            said = read_all(stream, tty)[1]
            assert b"said 42" in said and (not tty or b"33 99" in said), said
            ended = until(
                "an exit code",
                lambda made=made: client.api.exec_inspect(made["Id"])["ExitCode"],
            )
            assert ended == 8
        assert made["Id"] in (one.reload() or one.attrs["ExecIDs"] or [made["Id"]])


@case
def statistics_once_and_as_a_stream():
    with container(["sh", "-c", "while :; do :; done"], mem_limit="64m") as one:
        once = one.stats(stream=False)
        assert once["id"] == one.id and once["name"] == "/" + one.name
        assert once["memory_stats"]["limit"] == 64 << 20 and once["pids_stats"]["current"] >= 1
        assert once["cpu_stats"]["cpu_usage"]["total_usage"] > 0
        assert once["precpu_stats"]["cpu_usage"]["total_usage"] > 0
        assert "eth0" in once["networks"], once
        shot = one.stats(stream=False, one_shot=True)
        assert shot["precpu_stats"]["cpu_usage"]["total_usage"] == 0, shot["precpu_stats"]
        stream = one.stats(stream=True, decode=True)
        first, second = next(stream), next(stream)
        assert second["read"] > first["read"] and second["preread"] == first["read"], (first, second)
        assert second["cpu_stats"]["cpu_usage"]["total_usage"] > 0
        stream.close()
        one.stop(timeout=0)
        stopped = one.stats(stream=False)
        assert stopped["cpu_stats"]["cpu_usage"]["total_usage"] == 0, stopped
    with raises(docker.errors.NotFound, 404):
        client.api.stats("nobody", stream=False)


@case
def events_as_they_come_and_of_the_past():
    begin = client.info()["SystemTime"]
    listener = client.events(
        decode=True, filters={"type": "container", "event": ["create", "start", "die", "destroy"], "label": "heard"}
    )
    heard = []

    def listen():
        for event in listener:
            heard.append(event)
            if event["Action"] == "destroy":
                return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    client.containers.run("busybox", "true")
    one = client.containers.run("busybox", ["sh", "-c", "exit 9"], labels=["heard"], detach=True)
    one.wait()
    one.remove()
    thread.join(LIMIT)
    assert [event["Action"] for event in heard] == ["create", "start", "die", "destroy"], heard
    for event in heard:
        assert event["Type"] == "container" and event["Actor"]["ID"] == one.id and event["scope"] == "local"
        attributes = event["Actor"]["Attributes"]
        assert attributes["image"] == "busybox" and attributes["name"] == one.name, event
    assert heard[2]["Actor"]["Attributes"]["exitCode"] == "9", heard[2]
    begin = datetime.datetime.fromisoformat(begin[:19])
    # Times are sent in whole seconds.
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(seconds=1)
    past = list(client.events(since=begin, until=now, decode=True, filters={"container": one.id}))
    actions = [event["Action"] for event in past]
    assert actions[0] == "create" and actions[-1] == "destroy" and "attach" not in actions, actions
    raw = b"".join(client.events(since=begin, until=now, filters={"container": one.id}))
    assert len([json.loads(line) for line in raw.splitlines()]) == len(past)
    for left in client.containers.list(all=True):
        left.remove(force=True)


@case
def health_is_told():
    check = {"test": ["CMD-SHELL", "test -e /ready"], "interval": 200_000_000, "retries": 1}
    with container(healthcheck=check) as one:
        until("unhealthy", lambda: (one.reload(), one.health == "unhealthy")[1])
        one.exec_run("touch /ready")
        until("healthy", lambda: (one.reload(), one.health == "healthy")[1])
        assert one.attrs["State"]["Health"]["Log"][-1]["ExitCode"] == 0


run()
