"""Real guests moved between real hosts, and what must come through with them."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import network
from lab.faults import Victim
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import observer

ROUND_TRIPS = 10
FLAGS = "VIR_MIGRATE_UNDEFINE_SOURCE, VIR_MIGRATE_PEER2PEER, VIR_MIGRATE_LIVE, VIR_MIGRATE_PERSIST_DEST"


@pytest.fixture
def guest(lab: Lab, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A guest on compute1 that Limosa has found: its name and boot id. Options by indirect parameter."""
    options = getattr(request, "param", GuestOptions())
    name = "web"
    first = lab.guest_create(name, "compute1", options)
    observer.wait_until_found(lab, name)
    yield name, first.boot_id
    lab.guest_delete(name)


def listed(lab: Lab) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in json.loads(lab.limosa("list", "-f", "json").stdout)}


def live_xml(lab: Lab, host: str, name: str) -> ET.Element:
    return ET.fromstring(lab.virsh(host, "dumpxml", "--security-info", name))


def inactive_xml(lab: Lab, host: str, name: str) -> ET.Element:
    return ET.fromstring(lab.virsh(host, "dumpxml", "--inactive", "--security-info", name))


def vnc_address(domain: ET.Element) -> str | None:
    listen = domain.find("./devices/graphics[@type='vnc']/listen")
    return listen.get("address") if listen is not None else None


def metadata(domain: ET.Element) -> list[str]:
    return [ET.tostring(element).decode().strip() for element in domain.findall("./metadata/*")]


def domain_info(lab: Lab, host: str, name: str, key: str) -> str:
    lines = lab.virsh(host, "dominfo", name).splitlines()
    fields = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    return fields[key]


def test_there_and_back_ten_times_leaves_one_guest_and_nothing_else(lab: Lab, guest: tuple[str, str]) -> None:
    name, boot_id = guest
    seen: set[tuple[str, int]] = set()
    hosts = ["compute2", "compute1"]

    for dest in hosts * ROUND_TRIPS:
        shown = observer.migrate(lab, name, dest)
        assert (shown["status"], shown["dest"]) == ("completed", dest)
        place = (lab.virsh(dest, "domid", name), lab.process(Victim.QEMU, host_name=dest, guest=name))
        assert place not in seen, "a migration starts a new domain in a new QEMU"
        seen.add(place)

    observer.assert_one_guest(lab, name, host="compute1", boot_id=boot_id)
    assert len({pid for _, pid in seen}) == 2 * ROUND_TRIPS


def test_the_guest_changes_namespaces(lab: Lab, guest: tuple[str, str]) -> None:
    name, _ = guest

    def network_namespace(host: str) -> str:
        pid = lab.process(Victim.QEMU, host_name=host, guest=name)
        return str(Path(f"/proc/{pid}/ns/net").readlink())

    before = network_namespace("compute1")
    observer.migrate(lab, name, "compute2")

    assert network_namespace("compute2") != before


def test_what_a_persistent_guest_has_arrives_with_it(lab: Lab, guest: tuple[str, str]) -> None:
    name, _ = guest
    lab.virsh("compute1", "autostart", name)
    lab.virsh("compute1", "desc", "--config", name, "a pending change of the description")
    lab.virsh("compute1", "setmaxmem", "--config", name, "128M")
    before_live = live_xml(lab, "compute1", name)
    before_inactive = inactive_xml(lab, "compute1", name)

    observer.migrate(lab, name, "compute2")

    after_live, after_inactive = live_xml(lab, "compute2", name), inactive_xml(lab, "compute2", name)
    assert domain_info(lab, "compute2", name, "Autostart") == "enable"
    assert domain_info(lab, "compute2", name, "Persistent") == "yes"
    assert after_inactive.findtext("description") == "a pending change of the description"
    assert after_inactive.findtext("memory") == before_inactive.findtext("memory") == str(128 * 1024)
    assert after_live.findtext("memory") == before_live.findtext("memory") == str(96 * 1024)
    assert metadata(after_live) == metadata(before_live)
    assert metadata(after_inactive) == metadata(before_inactive)
    assert after_live.findtext("title") == before_live.findtext("title")


@pytest.mark.parametrize("guest", [GuestOptions(has_vnc=True)], indirect=True)
def test_the_vnc_server_listens_on_the_host_it_came_to_now_and_after_the_next_start(
    lab: Lab, guest: tuple[str, str]
) -> None:
    name, _ = guest
    assert vnc_address(live_xml(lab, "compute1", name)) == network.addresses("compute1").management

    observer.migrate(lab, name, "compute2")

    here = network.addresses("compute2").management
    assert vnc_address(live_xml(lab, "compute2", name)) == here
    assert vnc_address(inactive_xml(lab, "compute2", name)) == here


def test_the_classic_flag_list_works(lab: Lab, guest: tuple[str, str]) -> None:
    name, boot_id = guest
    classic = "UNDEFINE_SOURCE, PEER2PEER, LIVE, PERSIST_DEST, TUNNELLED".replace(", ", ", VIR_MIGRATE_")
    with agent_option(lab, "libvirt.live_migration_flag", f"VIR_MIGRATE_{classic}", FLAGS):
        assert observer.migrate(lab, name, "compute2")["status"] == "completed"
    observer.assert_one_guest(lab, name, host="compute2", boot_id=boot_id)


@pytest.mark.parametrize("guest", [GuestOptions(is_transient=True)], indirect=True)
def test_a_transient_guest_stays_transient(lab: Lab, guest: tuple[str, str]) -> None:
    name, boot_id = guest

    observer.migrate(lab, name, "compute2")

    assert domain_info(lab, "compute2", name, "Persistent") == "no"
    observer.assert_one_guest(lab, name, host="compute2", boot_id=boot_id)


def test_a_paused_guest_stays_paused(lab: Lab, guest: tuple[str, str]) -> None:
    name, boot_id = guest
    lab.virsh("compute1", "suspend", name)
    observer.wait_until(lambda: listed(lab)[name]["power_state"] == "paused", what="the pause is reported")

    shown = observer.migrate(lab, name, "compute2")

    assert shown["status"] == "completed"
    assert lab.virsh("compute2", "domstate", "--reason", name).startswith("paused")
    refused = lab.limosa("live-migration", name, "compute1", check=False)
    assert (refused.returncode, "has not run since it came to compute2" in refused.stderr) == (4, True)
    lab.virsh("compute2", "resume", name)
    observer.assert_one_guest(lab, name, host="compute2", boot_id=boot_id)

    lab.virsh("compute2", "suspend", name)
    observer.wait_until(lambda: listed(lab)[name]["power_state"] == "paused", what="the pause is reported")
    assert observer.migrate(lab, name, "compute1")["status"] == "completed"
    lab.virsh("compute1", "resume", name)
    observer.assert_one_guest(lab, name, host="compute1", boot_id=boot_id)


def test_without_a_host_the_conductor_chooses_one(lab: Lab, guest: tuple[str, str]) -> None:
    name, boot_id = guest

    shown = json.loads(lab.limosa("live-migration", name, "-f", "json").stdout)

    assert (shown["status"], shown["dest"]) == ("completed", "compute2")
    observer.assert_one_guest(lab, name, host="compute2", boot_id=boot_id)


def test_virsh_migrate_by_hand_is_followed(lab: Lab, guest: tuple[str, str]) -> None:
    name, boot_id = guest

    flags = ["--live", "--p2p", "--persistent", "--undefinesource"]
    lab.virsh("compute1", "migrate", *flags, name, "qemu+tls://compute2/system", "tcp://compute2")

    observer.wait_until(
        lambda: listed(lab)[name]["host"] == "compute2", what="the move is followed", timeout_s=20
    )
    observer.assert_one_guest(lab, name, host="compute2", boot_id=boot_id)


def test_a_guest_made_or_removed_with_virsh_comes_and_goes(lab: Lab) -> None:
    lab.guest_create("passing", "compute2")
    observer.wait_until(lambda: "passing" in listed(lab), what="it appears", timeout_s=20)

    lab.virsh("compute2", "destroy", "passing")
    observer.wait_until(
        lambda: listed(lab)["passing"]["power_state"] == "shutoff", what="it is off", timeout_s=20
    )
    lab.virsh("compute2", "undefine", "passing")
    observer.wait_until(lambda: "passing" not in listed(lab), what="it goes", timeout_s=20)
    lab.guest_delete("passing")


def test_an_abort_in_the_transfer_leaves_the_guest_on_its_source(lab: Lab, guest: tuple[str, str]) -> None:
    name, boot_id = guest
    with agent_option(lab, "libvirt.live_migration_bandwidth", "4", "0"):
        migration = observer.start_migration(lab, name, "compute2")
        observer.wait_until(lambda: "compute2" in observer.running_copies(lab, name), what="it is under way")

        lab.limosa("migration", "abort", migration)

        assert observer.wait_until_final(lab, migration) == "cancelled"
    observer.assert_one_guest(lab, name, host="compute1", boot_id=boot_id)


def test_the_log_tells_the_story_of_a_migration(lab: Lab, guest: tuple[str, str]) -> None:
    name, _ = guest
    migration = observer.migrate(lab, name, "compute2")["id"]

    story = lab.limosa("migration", "log", migration).stdout

    told = [
        f"{name} is to move from compute1 to compute2",
        "compute2 could take it",
        "compute1 could give it",
        "compute2 is prepared",
        "compute1 says that the guest has moved",
        "compute2 runs the guest",
        "compute1 is clean",
        "completed",
    ]
    places = [story.find(sentence) for sentence in told]
    assert -1 not in places, story
    assert places == sorted(places), story


@contextmanager
def agent_option(lab: Lab, option: str, value: str, usual: str) -> Iterator[None]:
    """compute1's agent runs with another value of this option inside the block."""

    def restart_with(text: str) -> None:
        lab.write_config("compute1", {option: text})
        lab.stop(Victim.AGENT, host_name="compute1")
        lab.start(Victim.AGENT, host_name="compute1")
        lab.wait_until_agents_are_up()

    restart_with(value)
    try:
        yield
    finally:
        restart_with(usual)
