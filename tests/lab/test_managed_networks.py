"""Guests in VXLANs that Limosa makes: on a host while a guest there needs one, and not longer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab import network
from lab.faults import Victim
from lab.guest import registry
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import observer

PORT = 4789


@dataclass(frozen=True, slots=True, kw_only=True)
class Vxlan:
    name: str
    vni: int
    options: tuple[str, ...]
    group: str | None = None

    @property
    def bridge(self) -> str:
        return f"br-{self.name}"

    @property
    def links(self) -> set[str]:
        return {self.bridge, f"vxlan{self.vni}"}


RED = Vxlan(name="red", vni=4242, options=("--peer", network.SWITCH_VTEP))
GREEN = Vxlan(name="green", vni=4243, options=("--group", "239.77.0.1"), group="239.77.0.1")


@pytest.fixture
def vxlan(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Vxlan]:
    """Declared, attached to compute1 until a guest is there, and joined with the prober's network."""
    wanted: Vxlan = getattr(request, "param", RED)
    create = ("--kind", "vxlan", "--segment", str(wanted.vni), "--bridge", wanted.bridge)
    lab.limosa("network", "create", wanted.name, *create, *wanted.options)
    lab.join_vxlan(vni=wanted.vni, port=PORT, group=wanted.group)
    lab.limosa("network", "attach", wanted.name, "compute1")
    wait_until_stands(lab, wanted, "compute1")
    yield wanted
    for host in lab.compute_hosts:
        lab.limosa("network", "detach", wanted.name, host)
    observer.wait_until(
        lambda: lab.limosa("network", "delete", wanted.name, check=False).returncode == 0,
        what="nobody needs the network",
        timeout_s=15,
    )
    for host in lab.compute_hosts:
        wait_until_gone(lab, wanted, host)
    lab.exec(network.SWITCH, ["ip", "link", "del", f"vxlan{wanted.vni}"])


@pytest.fixture
def guest(lab: Lab, vxlan: Vxlan) -> Iterator[tuple[str, str]]:
    """In that network, on compute1, which is not attached to it any more: its name and boot id."""
    name = f"in-{vxlan.name}"
    first = lab.guest_create(name, "compute1", GuestOptions(bridge=vxlan.bridge))
    observer.wait_until_found(lab, name)
    lab.limosa("network", "detach", vxlan.name, "compute1")
    record = registry.get(name, paths=lab.paths)
    # A guest that is silent while it moves is asked by its declared address only.
    lab.limosa("port", "set", name, network.guest_mac(record.number), "--address", record.address)
    yield name, first.boot_id
    lab.guest_delete(name)


def links(lab: Lab, host: str) -> dict[str, dict[str, Any]]:
    shown = json.loads(lab.exec(host, ["ip", "-j", "-d", "link", "show"]).stdout)
    return {link["ifname"]: link for link in shown}


def ours(lab: Lab, host: str) -> set[str]:
    return {name for name, link in links(lab, host).items() if link.get("ifalias", "").startswith("limosa ")}


def wait_until_stands(lab: Lab, vxlan: Vxlan, host: str) -> None:
    observer.wait_until(
        lambda: vxlan.links <= ours(lab, host), what=f"{vxlan.name} stands on {host}", timeout_s=20
    )


def wait_until_gone(lab: Lab, vxlan: Vxlan, host: str) -> None:
    observer.wait_until(
        lambda: not vxlan.links & links(lab, host).keys(), what=f"no {vxlan.name} on {host}", timeout_s=20
    )


@pytest.mark.parametrize("vxlan", [RED, GREEN], indirect=True, ids=["peers", "multicast"])
def test_a_guest_takes_its_network_along_there_and_back(
    lab: Lab, vxlan: Vxlan, guest: tuple[str, str]
) -> None:
    name, boot_id = guest
    with lab.connection(name) as connection, lab.probes(name) as probes:
        for source, dest in (("compute1", "compute2"), ("compute2", "compute1")):
            assert not vxlan.links & links(lab, dest).keys()
            shown = observer.migrate(lab, name, dest)
            story = lab.limosa("migration", "log", shown["id"]).stdout
            assert (shown["status"], shown["network_verified"]) == ("completed", True), story
            assert ours(lab, dest) == vxlan.links
            assert not vxlan.links & links(lab, source).keys(), "its last guest has left"

    assert connection.report.has_survived, connection.report
    assert probes.report.boot_ids == (boot_id,)
    observer.assert_one_guest(lab, name, host="compute1", boot_id=boot_id)


def test_it_is_made_as_it_was_declared(lab: Lab, vxlan: Vxlan) -> None:
    made = links(lab, "compute1")
    device, bridge = made[f"vxlan{vxlan.vni}"], made[vxlan.bridge]

    assert (device["master"], device["mtu"], bridge["mtu"]) == (vxlan.bridge, 1450, 1450)
    data = device["linkinfo"]["info_data"]
    assert (data["id"], data["local"], data["port"]) == (vxlan.vni, "10.77.0.11", PORT)
    flooded = lab.exec("compute1", ["bridge", "fdb", "show", "dev", f"vxlan{vxlan.vni}"]).stdout
    assert {word for word in flooded.split() if word.startswith("10.77.")} == {
        network.SWITCH_VTEP,
        "10.77.0.12",
    }


def test_it_stays_while_a_guest_that_is_off_is_defined_and_through_an_agents_death(
    lab: Lab, vxlan: Vxlan, guest: tuple[str, str]
) -> None:
    name, _ = guest
    lab.virsh("compute1", "destroy", name)
    index = links(lab, "compute1")[vxlan.bridge]["ifindex"]

    lab.kill(Victim.AGENT, host_name="compute1")
    lab.start(Victim.AGENT, host_name="compute1")
    lab.wait_until_agents_are_up("compute1")
    shown = json.loads(lab.limosa("network", "show", vxlan.name, "-f", "json").stdout)

    assert (shown["hosts"], shown["guests"], shown["problems"]) == (["compute1"], [name], [])
    assert links(lab, "compute1")[vxlan.bridge]["ifindex"] == index, "it was not made anew"
    refused = lab.limosa("network", "delete", vxlan.name, check=False)
    assert (refused.returncode, "guests are in it" in refused.stderr) == (4, True)

    lab.virsh("compute1", "undefine", name)
    wait_until_gone(lab, vxlan, "compute1")
