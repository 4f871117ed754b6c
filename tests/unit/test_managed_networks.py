"""When a managed network stands on a host: exactly while somebody needs it there."""

import threading
from dataclasses import replace

import pytest

from common import concurrency
from common.network_views import HostNetworks
from compute_agent.errors import NetworkUnusableError
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from compute_agent.link_making import BRIDGE
from compute_agent.managed_networks.keeper import LEAVING_S
from compute_agent.network_settings import NetworkSettings
from tests.fakes.domain import guest_xml
from tests.fakes.host import MIGRATION
from tests.fakes.network_host import ADDRESS, BLUE, OTHERS, RED, NetworkHost, interface_in

RED_LINKS = {"br-red", "vxlan4242"}
BLUE_LINKS = {"br-blue", "eth1.100"}


@pytest.fixture
def host(tmp_path):
    return NetworkHost(tmp_path)


# ---- for a guest that comes


def test_a_network_is_made_for_a_guest_that_comes(host):
    host.guest_comes()

    assert host.made == RED_LINKS
    bridge, device = host.links.find("br-red"), host.links.find("vxlan4242")
    assert (bridge.kind, bridge.mtu, device.master) == (BRIDGE, 1450, "br-red")
    made = host.links.made["vxlan4242"]
    assert (made.segment, made.local, made.device, made.port, made.group) == (4242, ADDRESS, "eth0", 4789, "")
    assert host.links.flooded("vxlan4242") == OTHERS


def test_a_vlan_is_made_on_the_device_that_this_host_calls_so(host):
    host.guest_comes(network=BLUE)

    assert host.made == BLUE_LINKS
    assert (host.links.made["eth1.100"].segment, host.links.made["eth1.100"].device) == (100, "eth1")


def test_what_else_is_in_the_network_is_flooded_too(host):
    host.guest_comes(network=replace(RED, properties={"port": "4789", "peers": "10.77.0.1"}))
    assert host.links.flooded("vxlan4242") == ("10.77.0.1", *OTHERS)


def test_by_multicast_nobody_is_flooded_one_by_one(host):
    host.guest_comes(network=replace(RED, properties={"port": "4789", "group": "239.1.2.3"}))

    assert host.links.made["vxlan4242"].group == "239.1.2.3"
    assert host.links.flooded("vxlan4242") == ()


def test_what_stands_already_is_left_as_it_is(host):
    host.guest_comes("m1")
    before = host.links.all()
    host.guest_comes("m2")
    assert host.links.all() == before


def test_it_goes_when_the_guest_does_not_come(host):
    record = host.guest_comes()

    assert host.keeper.forget(record) == ("network red was removed: no guest here needs it any more",)
    assert host.made == set()
    assert host.keeper.forget(record) == ()


def test_it_stays_while_another_guest_comes(host):
    first, second = host.guest_comes("m1"), host.guest_comes("m2")

    host.keeper.forget(first)
    assert host.made == RED_LINKS
    host.keeper.forget(second)
    assert host.made == set()


def test_it_stays_when_the_guest_has_come_and_goes_when_it_leaves(host):
    record = host.guest_comes()
    uuid = host.add_guest("web1")
    assert host.keeper.forget(record) == ()
    assert host.made == RED_LINKS

    host.remove_guest(uuid)
    assert host.keeper.leave(MIGRATION, (RED,)) == (
        "network red was removed: no guest here needs it any more",
    )
    assert host.made == set()


def test_it_stays_for_a_guest_that_leaves_until_it_was_looked_at_where_it_is_now(host):
    uuid = host.add_guest("web1")
    host.keeper.settle()
    with host.keeper.leaving(MIGRATION, (RED,)):
        host.remove_guest(uuid)
        host.keeper.settle()
        assert host.made == RED_LINKS
    host.keeper.settle()
    assert host.made == RED_LINKS

    assert host.keeper.leave(MIGRATION, (RED,)) != ()
    assert host.made == set()


def test_it_goes_when_nobody_comes_to_look_at_the_guest_that_has_left(host):
    uuid = host.add_guest("web1")
    host.keeper.settle()
    with host.keeper.leaving(MIGRATION, (RED,)):
        host.remove_guest(uuid)

    host.clock.pass_s(LEAVING_S + 1)
    host.keeper.settle()

    assert host.made == set()


# ---- who else counts


def test_a_guest_that_is_off_counts(host):
    uuid = host.add_guest("web2", is_running=False)
    host.keeper.settle()
    assert host.keeper.leave(MIGRATION, (RED,)) == ()
    assert host.made == RED_LINKS

    host.remove_guest(uuid)
    assert host.keeper.leave(MIGRATION, (RED,)) != ()


def test_a_guest_counts_by_what_it_will_be_started_with_too(host):
    uuid = host.add_guest("web2", bridge="br-other")
    host.hypervisor.domains[uuid].inactive_xml = guest_xml("web2", uuid=uuid, devices=interface_in("br-red"))
    host.guest_comes()
    host.keeper.leave(MIGRATION, (RED,))
    assert host.made == RED_LINKS


def test_a_guest_in_a_libvirt_network_with_that_bridge_counts(host):
    host.hypervisor.bridges["net-red"] = "br-red"
    interface = "<interface type='network'><source network='net-red'/></interface>"
    host.hypervisor.add_guest(guest_xml("web2", devices=interface), is_running=False)
    host.keeper.settle()
    assert host.made == RED_LINKS


def test_whatever_somebody_has_put_into_its_bridge_counts(host):
    record = host.guest_comes()
    host.links.add("veth9", master="br-red")

    assert host.keeper.forget(record) == ()
    assert host.made == {*RED_LINKS, "veth9"}
    host.links.remove("veth9")
    host.keeper.settle()
    assert host.made == set()


def test_an_attached_network_stands_without_a_guest(host):
    host.declared = replace(host.declared, attached=("red",))
    host.keeper.pull()
    assert host.made == RED_LINKS
    assert host.keeper.leave(MIGRATION, (RED,)) == ()

    host.declared = replace(host.declared, attached=())
    host.keeper.pull()
    assert host.made == set()


def test_nothing_is_removed_while_libvirt_is_silent(host):
    record = host.guest_comes()
    host.hypervisor.go_down()

    with pytest.raises(HypervisorUnreachableError):
        host.keeper.forget(record)
    host.keeper.settle()
    assert host.made == RED_LINKS

    host.hypervisor.come_up()
    host.keeper.settle()
    assert host.made == set()


def test_nothing_is_removed_before_a_conductor_has_told_what_is_attached(tmp_path):
    host = NetworkHost(tmp_path)
    record = host.guest_comes()
    (tmp_path / "networks.json").unlink()
    host.is_conductor_away = True
    host.start_agent()
    host.keeper.pull()

    assert host.keeper.forget(record) == ()
    assert host.made == RED_LINKS

    host.is_conductor_away = False
    host.keeper.pull()
    assert host.made == set()


# ---- what is not ours


def test_a_bridge_that_somebody_made_is_used_and_left_alone(host):
    host.links.add("br-red", BRIDGE, mtu=1500)
    record = host.guest_comes()
    uuid = host.add_guest("web1")
    host.keeper.forget(record)
    host.remove_guest(uuid)
    host.keeper.leave(MIGRATION, (RED,))
    host.keeper.settle()

    assert host.made == {"br-red"}
    assert host.links.find("br-red").mtu == 1500


def test_a_device_that_somebody_made_is_not_taken(host):
    host.links.add("vxlan4242", "vxlan")

    with pytest.raises(NetworkUnusableError, match="there is a device vxlan4242 that Limosa did not make"):
        host.guest_comes()

    assert host.made == {"vxlan4242"}
    assert host.links.find("vxlan4242").master == ""


def test_what_fails_half_way_leaves_nothing(host):
    host.links.add("br-red-2")
    host.links.make_fails_for = "br-red"

    with pytest.raises(NetworkUnusableError, match="Network red cannot stand here: No buffer space"):
        host.guest_comes()

    assert host.made == {"br-red-2"}


@pytest.mark.parametrize(
    ("settings", "network", "said"),
    [
        (NetworkSettings(), RED, "vtep_address is not set here"),
        (NetworkSettings(vtep_address="192.0.2.1"), RED, "192.0.2.1 .* is no address of this host"),
        (NetworkSettings(vtep_address=ADDRESS), replace(RED, mtu=1451), "eth0 has an MTU of 1500, and 1501"),
        (NetworkSettings(), BLUE, "there is no device data here"),
        (
            NetworkSettings(physical_mappings={"data": "eth1"}),
            replace(BLUE, mtu=9001),
            "eth1 has an MTU of 9000",
        ),
        (
            NetworkSettings(vtep_address=ADDRESS),
            replace(RED, properties={"port": "4789", "group": "ff05::1"}),
            "not of one IP version",
        ),
    ],
)
def test_what_this_host_lacks_is_said_before_anything_is_made(tmp_path, settings, network, said):
    host = NetworkHost(tmp_path, settings=settings)

    with pytest.raises(NetworkUnusableError, match=said):
        host.guest_comes(network=network)

    assert host.made == set()
    assert host.standing.problem(network) != ""


def test_a_network_that_was_declared_anew_replaces_the_old_one_unless_guests_are_in_it(host):
    host.guest_comes("m1")
    anew = replace(RED, segment=5)
    host.links.add("vnet0", "tun", master="br-red")
    with pytest.raises(NetworkUnusableError, match="as it was declared before, and vnet0 is in it"):
        host.guest_comes("m2", network=anew)
    assert host.made == {*RED_LINKS, "vnet0"}

    host.links.remove("vnet0")
    host.guest_comes("m2", network=anew)
    assert host.made == {"br-red", "vxlan5"}


# ---- restarts, and what is told


def test_an_agent_that_starts_anew_goes_on_without_a_conductor(host):
    """A host that was off has no links, and its guests are started with it."""
    host.add_guest("web1", is_running=False)
    host.is_conductor_away = True
    host.start_agent()
    host.keeper.settle()
    assert host.made == RED_LINKS


def test_an_agent_that_starts_anew_removes_what_nobody_needs(host):
    host.keeper.forget(host.guest_comes())
    host.guest_comes("m2")
    host.arrivals.remove("m2")  # as if it had died behind this line
    host.start_agent()
    host.keeper.settle()
    assert host.made == set()


def test_a_guest_that_comes_is_remembered_by_the_next_agent(host):
    host.guest_comes()
    host.start_agent()
    host.keeper.settle()
    assert host.made == RED_LINKS


def test_other_hosts_that_come_and_go_are_flooded_or_not(host):
    host.guest_comes()
    host.declared = replace(host.declared, vteps=("10.77.0.13", "10.77.0.14"))
    host.keeper.pull()
    assert host.links.flooded("vxlan4242") == ("10.77.0.13", "10.77.0.14")


def test_a_network_that_is_declared_no_more_goes_with_its_last_guest(host):
    uuid = host.add_guest("web1")
    host.keeper.settle()
    host.declared = HostNetworks()
    host.keeper.pull()
    assert host.made == RED_LINKS

    host.remove_guest(uuid)
    host.keeper.settle()
    assert host.made == set()


def test_what_stands_and_what_cannot_is_reported_when_it_changes(tmp_path):
    host = NetworkHost(tmp_path, settings=NetworkSettings(vtep_address=ADDRESS))
    host.add_guest("web1", bridge="br-red")
    host.add_guest("db1", bridge="br-blue")
    host.keeper.settle()

    facts = host.keeper.with_networks(host.hypervisor.host_facts())
    assert (facts.vtep_address, facts.networks) == (ADDRESS, ("red",))
    assert facts.network_problems == (("blue", "there is no device data here"),)
    assert host.changes == 1
    host.keeper.settle()
    assert host.changes == 1


# ---- at once


def test_a_guest_that_comes_while_the_last_one_leaves_finds_the_network(host):
    """Whichever is first: the one who leaves sees the one who comes, or the one who comes makes it anew."""
    for number in range(50):
        uuid = host.add_guest(f"web{number}")
        host.keeper.settle()
        host.remove_guest(uuid)
        both = threading.Barrier(2)

        def leave(both=both):
            both.wait()
            host.keeper.leave(MIGRATION, (RED,))

        def come(both=both, number=number):
            both.wait()
            return host.guest_comes(f"m{number}")

        leaving, coming = concurrency.spawn(leave), concurrency.spawn(come)
        leaving.wait(10)
        record = coming.wait(10)
        assert host.made == RED_LINKS
        assert host.links.find("vxlan4242").master == "br-red"
        host.keeper.forget(record)
        assert host.made == set()


def test_a_look_that_began_before_the_guest_was_announced_does_not_remove_its_network(host):
    """Held in the middle of its question to libvirt: the guest that comes waits until it has ended."""
    asked, answer = threading.Event(), threading.Event()
    host.add_guest("web1")
    host.keeper.settle()
    host.remove_guest(next(iter(host.hypervisor.domains)))
    bridge_users = host.hypervisor.bridge_users

    def held():
        asked.set()
        answer.wait(10)
        return bridge_users()

    host.hypervisor.bridge_users = held
    leaving = concurrency.spawn(host.keeper.leave, MIGRATION, (RED,))
    asked.wait(10)
    coming = concurrency.spawn(host.guest_comes)
    assert not coming.done
    answer.set()
    leaving.wait(10)
    coming.wait(10)
    assert host.made == RED_LINKS
