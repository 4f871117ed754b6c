"""What is done for a guest's interfaces on both hosts, by the verbs and by the preparation itself."""

from dataclasses import replace

import pytest

from common.facts import InterfaceFacts
from common.migration import DestinationFacts, DomainChanges
from common.transfer import Declarations, InterfaceChange, TransferPlan
from compute_agent.handover.ports import Switches
from compute_agent.hypervisor import domain_xml
from compute_agent.hypervisor.driver import EventKind, HypervisorEvent
from compute_agent.network_settings import NetworkSettings
from compute_agent.preparing import Arrival, Departure
from compute_agent.preparing.interfaces import HostNetworks, Interfaces
from tests.fakes.domain import guest_xml
from tests.fakes.host import MIGRATION, Hosts
from tests.fakes.openvswitch import FakeOpenVSwitch
from tests.fakes.waiting import WAIT_S

MAC = "52:54:00:4c:00:64"
ADDRESS = "10.78.0.100"
INTERFACE = InterfaceFacts(mac=MAC, type="bridge", source="br-data")
XML = f"""
    <interface type='bridge'>
      <mac address='{MAC}'/><source bridge='br-data'/><target dev='vnet7'/><model type='virtio'/>
    </interface>"""


@pytest.fixture
def hosts(tmp_path):
    hosts = Hosts(tmp_path)
    hosts.add_guest(devices=XML)
    for host in (hosts.source, hosts.dest):
        host.links.add_bridge("br-data", uplink="data")
        host.links.add_tap("vnet7", bridge="br-data")
    yield hosts
    hosts.stop()


def interfaces(host, *, names=None):
    network = HostNetworks(
        host=host.settings.host,
        names=names or NetworkSettings(),
        switches=Switches(links=host.links, open_vswitch=FakeOpenVSwitch()),
        frames=host.frames,
    )
    return Interfaces(host.hypervisor, network, host.core.hub)


def arrival(hosts, *, found=(INTERFACE,)):
    return Arrival(
        instance=hosts.uuid,
        name="web1",
        migration=MIGRATION,
        plan=TransferPlan(interfaces=found),
        declared=Declarations(),
        record=hosts.dest.core.arrivals.open(MIGRATION, instance=hosts.uuid),
    )


def departure(hosts, *, addresses=()):
    return Departure(
        instance=hosts.uuid,
        name="web1",
        migration=MIGRATION,
        plan=TransferPlan(interfaces=(INTERFACE,)),
        declared=Declarations(addresses=((MAC.upper(), addresses),)),
        dest=DestinationFacts(connect_address="compute2"),
    )


# ---- before the guest comes


def test_what_is_called_the_same_here_is_not_changed(hosts):
    prepared = interfaces(hosts.dest).prepare(arrival(hosts))

    assert (prepared.changes, prepared.findings) == (DomainChanges(), ())


def test_what_is_called_otherwise_here_is_renamed(hosts):
    hosts.dest.links.add_bridge("br0", uplink="eth0")
    names = NetworkSettings(bridge_mappings={"br-data": "br0"}, network_mappings={"lan": "office"})
    of_network = replace(INTERFACE, mac="52:54:00:00:00:02", type="network", network="lan")

    prepared = interfaces(hosts.dest, names=names).prepare(arrival(hosts, found=(INTERFACE, of_network)))

    assert prepared.changes.interfaces == (
        InterfaceChange(mac=MAC, source={"bridge": "br0"}),
        InterfaceChange(mac=of_network.mac, source={"network": "office"}),
    )
    assert prepared.findings == ()


@pytest.mark.parametrize(
    ("tap", "renamed"), [("web-tap", ""), ("vnet7", ""), ("taken", "lm5254004c0064"), ("", "")]
)
def test_a_tap_gets_another_name_only_where_its_own_is_taken(hosts, tap, renamed):
    hosts.dest.links.add_tap("taken", bridge="br-data")

    prepared = interfaces(hosts.dest).prepare(arrival(hosts, found=(replace(INTERFACE, tap=tap),)))

    assert [change.tap for change in prepared.changes.interfaces] == ([renamed] if renamed else [])


def test_a_bridge_that_went_since_the_check_is_found(hosts):
    hosts.dest.links.remove("br-data")

    prepared = interfaces(hosts.dest).prepare(arrival(hosts))

    assert [finding.code for finding in prepared.findings] == ["bridge_missing"]


def test_several_preparations_may_change_one_interface():
    changes = DomainChanges(
        interfaces=(
            InterfaceChange(mac=MAC, source={"bridge": "br0"}),
            InterfaceChange(mac=MAC.upper(), tap="tap-web"),
        )
    )

    changed = domain_xml.persist_xml(guest_xml("web", devices=XML), changes=changes)

    assert """<source bridge="br0"/><target dev="tap-web"/>""" in changed


# ---- after it has come


def test_a_guest_that_has_come_is_announced_by_the_tap_that_it_has_here(hosts):
    hosts.dest.hypervisor.add_guest(guest_xml("web1", uuid=hosts.uuid, devices=XML))
    prepared = interfaces(hosts.dest)

    assert prepared.complete(arrival(hosts)) == ()

    assert hosts.dest.frames.announced[0] == (MAC, "br-data")
    assert hosts.dest.links.forwarding(MAC, bridge="br-data").port == "vnet7"
    assert prepared.handover(MIGRATION).is_verified
    assert prepared.handover(MIGRATION) is None


def test_a_guest_that_cannot_be_announced_runs_here_all_the_same(hosts):
    hosts.dest.hypervisor.add_guest(guest_xml("web1", uuid=hosts.uuid, devices=XML))
    hosts.dest.frames.problem = "Network is down"
    prepared = interfaces(hosts.dest)

    [problem] = prepared.complete(arrival(hosts))

    assert "Network is down" in problem
    assert not prepared.handover(MIGRATION).is_verified


def test_a_guest_whose_taps_cannot_be_looked_at_runs_here_all_the_same(hosts):
    hosts.dest.hypervisor.add_guest(guest_xml("web1", uuid=hosts.uuid, devices=XML))
    hosts.dest.links.problem = "broken"
    prepared = interfaces(hosts.dest)

    assert prepared.complete(arrival(hosts)) == ("it could not be announced: broken",)
    assert not prepared.handover(MIGRATION).is_verified


# ---- on the source


def test_the_source_measures_the_gap_and_verifies_the_way(hosts):
    source = interfaces(hosts.source)
    hosts.source.frames.answers.add(MAC)
    with source.accompany(departure(hosts, addresses=(ADDRESS, "2001:db8::1"))):
        hosts.source.core.hub.put(HypervisorEvent(kind=EventKind.SUSPENDED, uuid=hosts.uuid))
        assert hosts.source.frames.has_asked.wait(WAIT_S)
    hosts.source.links.learn(MAC, port="data")

    released = source.release(departure(hosts, addresses=(ADDRESS,)))

    assert released.handover.is_verified
    assert hosts.source.frames.asked[0] == (MAC, (ADDRESS,), "br-data")


def test_a_source_that_was_restarted_verifies_without_a_gap(hosts):
    hosts.source.frames.answers.add(MAC)
    hosts.source.links.learn(MAC, port="data")

    handover = interfaces(hosts.source).release(departure(hosts, addresses=(ADDRESS,))).handover

    assert (handover.is_verified, handover.gap_ms) == (True, None)


def test_a_source_whose_links_cannot_be_looked_at_does_not_keep_the_call(hosts):
    hosts.source.links.problem = "broken"

    with interfaces(hosts.source).accompany(departure(hosts)):
        pass


def test_a_guest_in_no_bridge_has_no_handover(hosts):
    hosts.source.links.remove("br-data")

    assert interfaces(hosts.source).release(departure(hosts)).handover is None


def test_the_bridge_of_a_libvirt_network_is_asked_for(hosts):
    """The plan has no bridge then: the definition that is moved names the network only."""
    hosts.source.hypervisor.networks["lan"], hosts.source.hypervisor.bridges["lan"] = True, "br-data"
    hosts.source.frames.answers.add(MAC)
    hosts.source.links.learn(MAC, port="data")
    of_network = replace(INTERFACE, type="network", source="lan", network="lan")
    leaving = replace(departure(hosts, addresses=(ADDRESS,)), plan=TransferPlan(interfaces=(of_network,)))

    assert interfaces(hosts.source).release(leaving).handover.is_verified


def test_links_that_cannot_be_looked_at_after_the_move_stop_nothing(hosts):
    hosts.source.links.problem = "broken"

    handover = interfaces(hosts.source).release(departure(hosts)).handover

    assert (handover.is_verified, handover.detail) == (False, "broken")
