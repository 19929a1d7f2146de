"""docker (PyPI): networks made, joined, listed, left and removed, and what is refused."""

import docker
from docker.types import EndpointConfig, IPAMConfig, IPAMPool, NetworkingConfig

from cases import case, client, container, raises, run


@case
def create_knows_every_option():
    pool = IPAMPool(
        subnet="10.61.0.0/24",
        iprange="10.61.0.128/25",
        gateway="10.61.0.254",
        aux_addresses={"spare": "10.61.0.130"},
    )
    made = client.networks.create(
        "everything",
        driver="bridge",
        options={"com.docker.network.driver.mtu": "1400"},
        ipam=IPAMConfig(pool_configs=[pool]),
        check_duplicate=True,
        internal=False,
        labels={"a": "b"},
        enable_ipv6=False,
        attachable=True,
        scope="local",
    )
    told = made.attrs
    assert told["Name"] == made.name == "everything"
    assert told["IPAM"]["Config"] == [
        {
            "Subnet": "10.61.0.0/24",
            "IPRange": "10.61.0.128/25",
            "Gateway": "10.61.0.254",
            "AuxiliaryAddresses": {"spare": "10.61.0.130"},
        }
    ], told
    assert told["Options"] == {"com.docker.network.driver.mtu": "1400"}
    assert told["Labels"] == {"a": "b"} and told["Attachable"] and not told["Internal"]
    made.remove()
    with raises(docker.errors.NotFound, 404, "everything"):
        client.networks.get("everything")


@case
def containers_join_and_leave():
    pool = IPAMPool(subnet="10.62.0.0/24")
    made = client.networks.create("joined", ipam=IPAMConfig(pool_configs=[pool]))
    with container(name="one", network="joined") as one, container(name="two") as two:
        made.connect(two, aliases=["second"], ipv4_address="10.62.0.77")
        made.reload()
        assert sorted(c.name for c in made.containers) == ["one", "two"]
        code, text = one.exec_run("ping -c 1 -W 10 second")
        assert code == 0, text
        two.reload()
        place = two.attrs["NetworkSettings"]["Networks"]["joined"]
        assert place["IPAddress"] == "10.62.0.77" and "second" in place["Aliases"], place
        made.disconnect(two)
        two.reload()
        assert list(two.attrs["NetworkSettings"]["Networks"]) == ["bridge"]
        with raises(docker.errors.APIError, 403, "active endpoints"):
            made.remove()
    made.remove()


@case
def a_container_is_made_with_its_place():
    made = client.networks.create("placed")
    config = NetworkingConfig({"placed": EndpointConfig("1.44", aliases=["a", "b"])})
    try:
        with container(name="placed-one", network="placed", networking_config=config.get("EndpointsConfig", config)) as c:
            c.reload()
            aliases = c.attrs["NetworkSettings"]["Networks"]["placed"]["Aliases"]
            assert "a" in aliases and "b" in aliases, aliases
    finally:
        made.remove()


@case
def networks_are_listed():
    one = client.networks.create("first", labels={"color": "red"})
    two = client.networks.create("second", labels={"color": "blue"}, internal=True)

    def names(**options):
        return sorted(n.name for n in client.networks.list(**options))

    assert {"bridge", "host", "none", "first", "second"} <= set(names())
    assert names(names=["first"]) == ["first"]
    assert names(ids=[two.id]) == ["second"]
    assert names(filters={"label": "color=blue"}) == ["second"]
    assert names(filters={"type": "custom"}, greedy=True) == ["first", "second"]
    assert names(filters={"dangling": True}) == ["first", "second"]
    one.remove()
    two.remove()


@case
def unused_networks_are_pruned():
    client.networks.create("idle", labels={"kind": "idle"})
    kept = client.networks.create("kept")
    told = client.networks.prune(filters={"label": "kind=idle"})
    assert told["NetworksDeleted"] == ["idle"], told
    kept.remove()


@case
def what_cannot_be_is_refused():
    made = client.networks.create("taken")
    with raises(docker.errors.APIError, 409, "already exists"):
        client.networks.create("taken", check_duplicate=True)
    with raises(docker.errors.APIError, 403, "bridge"):
        client.networks.get("bridge").remove()
    with raises(docker.errors.NotFound, 404, "nobody"):
        made.connect("nobody")
    made.remove()


run()
