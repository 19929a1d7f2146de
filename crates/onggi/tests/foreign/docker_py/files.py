"""docker (PyPI): archives, exports, images, volumes and the system."""

import io
import tarfile

import docker

from cases import case, client, container, raises, run


def tar_of(files):
    """A tar of names and contents."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid, entry.mtime = len(content), 0o640, 7, 1_000_000_000
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def members(stream):
    """The files of a streamed tar: name to entry and content."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        return {m.name: (m, tar.extractfile(m).read() if m.isfile() else b"") for m in tar}


@case
def archives_both_ways():
    with container() as one:
        for _ in range(2):
            assert one.put_archive("/tmp", tar_of({"a.txt": b"content", "b/c.txt": b"deep"}))
            stream, stat = one.get_archive("/tmp/a.txt")
            assert (stat["name"], stat["size"], stat["linkTarget"]) == ("a.txt", 7, ""), stat
            assert stat["mtime"].startswith("2001-09-09T"), stat
            entry, content = members(stream)["a.txt"]
            assert content == b"content" and (entry.uid, entry.mode & 0o7777) == (7, 0o640), entry
            stream, _ = one.get_archive("/tmp/b")
            assert members(stream)["b/c.txt"][1] == b"deep"
            stream, _ = one.get_archive("/tmp/b", encode_stream=True)
            b"".join(stream)
            with raises(docker.errors.NotFound, 404):
                one.get_archive("/nothing")
            with raises(docker.errors.NotFound, 404):
                one.put_archive("/nothing", tar_of({"a": b""}))
            with raises(docker.errors.APIError, 400):
                one.put_archive("/tmp/a.txt", tar_of({"a": b""}))
            # The second round is on a container that does not run.
            one.stop(timeout=0)
        assert {"Path": "/tmp/b/c.txt", "Kind": 1} in one.diff()
        exported = members(one.export())
        assert exported["tmp/a.txt"][1] == b"content" and "bin/busybox" in exported


@case
def images_are_pulled_tagged_and_removed():
    image = client.images.pull("127.0.0.1:5000/library/busybox", tag="latest")
    assert "127.0.0.1:5000/library/busybox:latest" in image.tags, image.tags
    lines = list(client.api.pull("127.0.0.1:5000/library/busybox", tag="latest", stream=True, decode=True))
    assert lines[-1]["status"].startswith("Status: Image is up to date"), lines
    assert image.tag("clients/again", "v2")
    image.reload()
    assert "clients/again:v2" in image.tags and image.attrs["Os"] == "linux"
    assert image.id in [one.id for one in client.images.list(name="clients/again")]
    assert image.history()
    said = client.containers.run("clients/again:v2", "echo of it", remove=True)
    assert said == b"of it\n"
    client.images.remove("clients/again:v2")
    client.images.remove("127.0.0.1:5000/library/busybox:latest")
    with raises(docker.errors.ImageNotFound, 404):
        client.images.get("clients/again:v2")
    with raises(docker.errors.NotFound, 404):
        client.images.pull("127.0.0.1:5000/library/nothing", tag="latest")
    # run pulls what is not there.
    said = client.containers.run("127.0.0.1:5000/library/busybox:latest", "echo pulled", remove=True)
    assert said == b"pulled\n"
    client.images.remove("127.0.0.1:5000/library/busybox:latest")


@case
def volumes_are_kept():
    volume = client.volumes.create("clients-files", labels={"of": "clients"})
    try:
        mounted = {volume.name: {"bind": "/data", "mode": "rw"}}
        client.containers.run("busybox", ["sh", "-c", "echo kept > /data/file"], volumes=mounted, remove=True)
        said = client.containers.run("busybox", "cat /data/file", volumes=mounted, remove=True)
        assert said == b"kept\n"
        assert [one.name for one in client.volumes.list(filters={"label": "of=clients"})] == [volume.name]
    finally:
        volume.remove()
    with raises(docker.errors.NotFound, 404):
        client.volumes.get("clients-files")


@case
def the_system_tells_of_itself():
    assert client.ping() is True
    version, info, used = client.version(), client.info(), client.df()
    assert version["Os"] == "linux" and version["Version"] and version["Components"]
    assert info["OSType"] == "linux" and info["NCPU"] > 0 and info["MemTotal"] > 0
    assert isinstance(info["Containers"], int) and info["DockerRootDir"]
    assert {"LayersSize", "Images", "Containers", "Volumes", "BuildCache"} <= set(used), used
    assert [one.name for one in client.networks.list(names=["bridge"])] == ["bridge"]
    old = docker.DockerClient(base_url=client.api.base_url.replace("http+docker://localhost", socket()), version="1.40")
    assert old.ping() and old.info()["OSType"] == "linux"
    old.close()


def socket():
    """The daemon's address."""
    import os

    return os.environ["DOCKER_HOST"]


run()
