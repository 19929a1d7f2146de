"""docker (PyPI): images built from folders, files and tars, and what is told when that fails."""

import io
import os
import tarfile
import tempfile

import docker

from cases import case, client, raises, run


def folder(files):
    """A folder with these files, which goes with the object."""
    made = tempfile.TemporaryDirectory()
    for name, text in files.items():
        path = os.path.join(made.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return made


def said(image, command=None):
    """What a container of the image prints."""
    return client.containers.run(image, command, remove=True).decode().strip()


@case
def of_a_folder():
    dockerfile = "FROM busybox\nCOPY . /app\nCMD cat /app/deep/file\n"
    with folder({"Dockerfile": dockerfile, "deep/file": "deep", ".dockerignore": "*.log\n", "a.log": "x"}) as path:
        image, log = client.images.build(path=path, tag="py:folder", rm=True)
    assert "py:folder" in image.tags, image.tags
    lines = [line["stream"] for line in log if "stream" in line]
    assert lines[0].startswith("Step 1/3 : FROM busybox"), lines
    assert any(line.startswith("Successfully tagged py:folder") for line in lines), lines
    assert said(image) == "deep"
    assert said(image, "ls /app/deep /app").count("log") == 0


@case
def of_a_file_object():
    image, _ = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nCMD echo alone\n"))
    assert said(image) == "alone" and image.tags == []


@case
def of_a_tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in {"sub/other": b"FROM busybox\nCOPY f /f\nCMD cat /f\n", "f": b"in a tar"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    buffer.seek(0)
    image, _ = client.images.build(fileobj=buffer, custom_context=True, encoding="gzip", dockerfile="sub/other")
    assert said(image) == "in a tar"


@case
def with_arguments_labels_and_a_target():
    dockerfile = (
        "FROM busybox AS one\nARG WHAT=nothing\nRUN echo $WHAT > /what\nCMD cat /what\nFROM one\nRUN exit 1\n"
    )
    with folder({"Dockerfile": dockerfile}) as path:
        image, _ = client.images.build(
            path=path,
            buildargs={"WHAT": "something"},
            labels={"made.by": "a test"},
            target="one",
            pull=False,
            forcerm=True,
            shmsize=1 << 20,
            extra_hosts={"other": "10.0.0.2"},
            container_limits={"memory": 256 << 20},
            platform="linux",
        )
    assert said(image) == "something"
    assert image.labels["made.by"] == "a test", image.labels


@case
def with_the_cache_and_without():
    with folder({"Dockerfile": "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\nCMD cat /id\n"}) as path:
        first, _ = client.images.build(path=path)
        second, log = client.images.build(path=path)
        assert any("Using cache" in line.get("stream", "") for line in log)
        third, _ = client.images.build(path=path, nocache=True)
    assert first.id == second.id and said(first) != said(third)


@case
def what_fails_has_its_log():
    text = "The command '/bin/sh -c echo before && exit 3' returned a non-zero code: 3"
    # From 1.52 on there is no text beside `errorDetail`: this library shows the whole message then.
    with folder({"Dockerfile": "FROM busybox\nRUN echo before && exit 3\n"}) as path:
        for one in (docker.from_env(version="1.43"), client):
            try:
                one.images.build(path=path, tag="py:failed")
            except docker.errors.BuildError as error:
                assert error.msg == text or error.msg["errorDetail"]["message"] == text, error.msg
                assert one is client or error.msg == text, error.msg
                log = list(error.build_log)
                assert any(line.get("stream") == "before\n" for line in log), log
                assert log[-1]["errorDetail"]["code"] == 3, log[-1]
            else:
                raise AssertionError("no BuildError")
    with raises(docker.errors.ImageNotFound):
        client.images.get("py:failed")


@case
def what_cannot_be_read_is_refused():
    with folder({"Dockerfile": "FROM busybox\nRUNN true\n"}) as path:
        with raises(docker.errors.APIError, text="unknown instruction: RUNN"):
            client.images.build(path=path)
    with folder({"other": "FROM busybox\n"}) as path:
        with raises(docker.errors.APIError, text="Dockerfile"):
            client.images.build(path=path)
    with raises(TypeError):
        client.images.build()


@case
def the_low_level_streams():
    tar = io.BytesIO(b"FROM busybox\nRUN echo one; echo two\n")
    lines = list(client.api.build(fileobj=tar, decode=True, quiet=False, rm=True))
    text = "".join(line.get("stream", "") for line in lines)
    assert "one\ntwo\n" in text and "Successfully built " in text, text
    ids = [line["aux"]["ID"] for line in lines if "aux" in line]
    assert len(ids) >= 1 and ids[-1].startswith("sha256:"), lines
    quiet = list(client.api.build(fileobj=io.BytesIO(b"FROM busybox\nLABEL quiet=yes\n"), decode=True, quiet=True))
    assert len(quiet) == 1 and quiet[0]["stream"].startswith("sha256:"), quiet
    pruned = client.api.prune_builds()
    assert pruned["SpaceReclaimed"] >= 0, pruned


run()
