"""The driver nftables against the kernel: what passes, what does not, and who is left alone."""

import re
import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from common.connections import Connection
from common.facts import InterfaceFacts
from common.transfer import Filtering, FilterRule, PortRules
from compute_agent.firewall.driver import FirewallError
from compute_agent.firewall.guests import filtered
from compute_agent.firewall.nftables import NftablesDriver
from compute_agent.firewall.settings import FirewallSettings
from compute_agent.firewall.tracking import ConnectionTracking
from tests.contract.packet_sites import (
    BYSTANDER,
    GUEST,
    GUEST_MAC,
    GUEST_TAP,
    HOST,
    PEER,
    SILENCE_S,
    WAIT_S,
    PacketSite,
)

INSTANCE = "9b77af9f-482a-4f4c-85a2-71c2c1833cc5"
MAC_BYTES = bytes.fromhex(GUEST_MAC.replace(":", ""))
OPEN, CLOSED = 7000, 7001
INTERFACE = InterfaceFacts(mac=GUEST_MAC, type="bridge", source="br0", tap="vnet3")
UDP_IN = FilterRule(direction="ingress", family=4, protocol="udp", port_min=OPEN, port_max=OPEN)
TCP_IN = FilterRule(direction="ingress", family=4, protocol="tcp", port_min=OPEN, port_max=OPEN)
ALL_OUT = FilterRule(direction="egress", family=4, protocol="any")


@pytest.fixture
def site() -> Iterator[PacketSite]:
    site = PacketSite()
    yield site
    site.close()


def port(*rules: FilterRule, addresses: tuple[str, ...] = (GUEST,)) -> PortRules:
    return PortRules(mac=GUEST_MAC, groups=("web",), addresses=addresses, rules=rules)


def apply(site: PacketSite, *ports: PortRules, revision: int = 1, **settings: object) -> NftablesDriver:
    driver = NftablesDriver(FirewallSettings(driver="nftables", **settings))  # type: ignore[arg-type]
    guest = filtered(INSTANCE, Filtering(revision=revision, ports=ports), (INTERFACE,), is_arriving=True)
    site.host.run(lambda: driver.apply([guest] if ports else []))
    return driver


def test_only_what_a_rule_lets_through_reaches_the_guest(site):
    apply(site, port(UDP_IN, TCP_IN, ALL_OUT))

    assert site.passes(site.peer, site.guest, GUEST, OPEN)
    assert site.drops(site.peer, site.guest, GUEST, CLOSED)
    assert site.connects(site.peer, site.guest, GUEST, OPEN)
    assert site.refuses(site.peer, site.guest, GUEST, CLOSED)


def test_a_rule_lets_through_only_the_remotes_that_it_names(site):
    apply(site, port(FilterRule(direction="ingress", family=4, protocol="udp", remotes=(f"{PEER}/32",))))

    assert site.passes(site.peer, site.guest, GUEST, OPEN)
    assert site.drops(site.bystander, site.guest, GUEST, OPEN)


def test_answers_to_the_guest_pass_from_others_and_from_the_host_itself(site):
    apply(site, port(ALL_OUT))

    assert site.connects(site.guest, site.peer, PEER, OPEN)
    assert site.connects(site.guest, site.host, HOST, OPEN)
    assert site.refuses(site.peer, site.guest, GUEST, OPEN)


def test_answers_of_the_guest_pass_though_it_may_begin_nothing(site):
    apply(site, port(TCP_IN))

    assert site.connects(site.peer, site.guest, GUEST, OPEN)
    assert site.refuses(site.guest, site.peer, PEER, OPEN)


def test_answers_of_the_host_pass_without_declared_addresses_too(site):
    apply(site, port(ALL_OUT, addresses=()))

    assert site.connects(site.guest, site.host, HOST, OPEN)
    assert site.connects(site.guest, site.peer, PEER, OPEN)


def test_a_guest_sends_with_its_own_addresses_only(site):
    site.guest.ip("address add 10.9.0.77/24 dev eth0")
    apply(site, port(ALL_OUT))

    assert site.passes(site.guest, site.peer, PEER, OPEN, source=GUEST)
    assert site.drops(site.guest, site.peer, PEER, OPEN, source="10.9.0.77")

    apply(site, port(ALL_OUT, addresses=()))
    assert site.passes(site.guest, site.peer, PEER, OPEN, source="10.9.0.77")


@pytest.mark.parametrize(("tag", "comes"), [(b"", True), (b"\x81\x00\x00\x0a", False)])
def test_a_guest_sends_nothing_into_a_vlan(site, tag, comes):
    apply(site, port(ALL_OUT))
    advert = struct.pack("!IHBB", 6 << 28, 24, socket.IPPROTO_ICMPV6, 255)
    advert += socket.inet_pton(socket.AF_INET6, "fe80::1") + socket.inet_pton(socket.AF_INET6, "ff02::1")
    advert += b"\x88" + bytes(23)

    frame = b"\xff" * 6 + MAC_BYTES + tag + b"\x86\xdd" + advert

    assert site.hears(site.guest, site.peer, frame, timeout_s=WAIT_S if comes else SILENCE_S) == comes


def test_a_guest_sends_with_its_own_mac_only(site):
    apply(site, port(ALL_OUT))
    site.guest.ip("link set eth0 address 52:54:00:00:00:99")

    assert site.drops(site.guest, site.peer, PEER, OPEN)


def test_a_guest_that_is_not_filtered_is_never_touched(site):
    site.bystander.ip("link set eth0 address 52:54:00:00:00:98", "address add 10.9.0.78/24 dev eth0")
    apply(site, port())

    assert site.passes(site.bystander, site.peer, PEER, CLOSED, source="10.9.0.78")
    assert site.passes(site.peer, site.bystander, BYSTANDER, CLOSED)
    assert site.connects(site.host, site.bystander, BYSTANDER, CLOSED)


def test_a_tap_of_a_name_that_libvirt_chose_anew_is_met_by_its_mac(site):
    apply(site, port(UDP_IN, ALL_OUT))
    site.rename_tap("vnet9")

    assert site.passes(site.peer, site.guest, GUEST, OPEN)
    assert site.drops(site.peer, site.guest, GUEST, CLOSED)


def test_without_br_netfilter_no_answer_is_recognised_and_nothing_else_let_through(site):
    site.set_bridge_netfilter(is_on=False)
    driver = apply(site, port(UDP_IN, ALL_OUT))

    assert site.passes(site.peer, site.guest, GUEST, OPEN)
    assert site.refuses(site.guest, site.peer, PEER, OPEN)
    problems = site.host.run(lambda: tuple(driver.problems(Filtering(revision=1, ports=(port(UDP_IN),)))))
    assert len(problems) == 1
    assert "bridge-nf-call-iptables" in problems[0]


def test_a_connection_that_is_not_known_needs_a_syn_where_that_is_asked_for(site):
    sends, takes = held_connection(site)
    apply(site, port(TCP_IN), requires_syn=True)

    takes.settimeout(SILENCE_S)
    assert not arrives(sends, takes)


def test_a_connection_that_lasts_while_its_guest_is_given_a_group_goes_on(site):
    sends, takes = held_connection(site)
    apply(site, port(TCP_IN))

    assert arrives(sends, takes)


def held_connection(site: PacketSite) -> tuple[socket.socket, socket.socket]:
    listens = site.socket(site.guest, socket.SOCK_STREAM, ("", OPEN))
    sends = site.socket(site.peer, socket.SOCK_STREAM)
    sends.connect((GUEST, OPEN))
    takes, _ = listens.accept()
    takes.settimeout(WAIT_S)
    return sends, takes


def arrives(sends: socket.socket, takes: socket.socket) -> bool:
    sends.send(b"word")
    try:
        return takes.recv(10) == b"word"
    except TimeoutError:
        return False
    finally:
        takes.close()


# ---- what stands


def ruleset(site: PacketSite) -> str:
    listed = site.host.run(lambda: subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True))
    # What the counters have counted is no rule: a stray packet may come in between.
    return re.sub(r"packets \d+ bytes \d+", "", listed.stdout)


def test_what_is_in_force_is_read_back(site):
    driver = apply(site, port(UDP_IN), revision=7)

    shown = site.host.run(lambda: driver.in_force(INSTANCE))

    assert (shown.driver, shown.revision) == ("nftables", 7)
    [only] = shown.ports
    assert (only.mac, only.tap) == (GUEST_MAC, GUEST_TAP)
    assert f"receives: ether type ip udp dport {OPEN} accept" in only.lines
    assert site.host.run(lambda: driver.in_force("another")).revision is None


def test_the_same_rules_again_change_nothing_and_no_rules_leave_nothing(site):
    apply(site, port(UDP_IN))
    before = tables(site)

    apply(site, port(UDP_IN))
    assert tables(site) == before
    apply(site, port(TCP_IN))
    assert tables(site) != before

    apply(site)
    assert ruleset(site) == ""


def tables(site: PacketSite) -> list[str]:
    """With their handles: a table that is made anew has another one."""
    listed = site.host.run(
        lambda: subprocess.run(["nft", "--handle", "list", "ruleset"], capture_output=True, text=True)
    )
    return [line for line in listed.stdout.splitlines() if line.startswith("table")]


def test_what_somebody_else_has_removed_is_put_back(site):
    apply(site, port(UDP_IN))
    site.host.run(lambda: subprocess.run(["nft", "flush", "ruleset"], check=True))

    apply(site, port(UDP_IN))

    assert "table bridge limosa" in ruleset(site)


@pytest.mark.parametrize("what", [("table", "bridge", "limosa"), ("chain", "bridge", "limosa", "sends")])
def test_rules_that_somebody_else_has_removed_and_left_their_table_are_put_back(site, what):
    apply(site, port(UDP_IN))
    before = ruleset(site)
    site.host.run(lambda: subprocess.run(["nft", "flush", *what], check=True))

    apply(site, port(UDP_IN))

    assert ruleset(site) == before


# ---- connections that come from another host


def test_a_connection_that_was_moved_here_goes_on_under_strict_rules(site):
    listens = site.socket(site.guest, socket.SOCK_STREAM, ("", OPEN))
    apply(site, port(TCP_IN))
    sends = site.socket(site.peer, socket.SOCK_STREAM)
    sends.connect((GUEST, OPEN))
    takes, _ = listens.accept()
    takes.settimeout(WAIT_S)
    tracking = ConnectionTracking()
    moved = site.host.run(lambda: tracking.of([GUEST]))
    assert [(each.destination, each.destination_port, each.state) for each in moved] == [
        (GUEST, OPEN, "ESTABLISHED")
    ]

    site.host.run(lambda: tracking.remove(moved))
    assert site.host.run(lambda: tracking.of([GUEST])) == ()
    site.host.run(lambda: tracking.put([replace(moved[0], state="SYN_RECV")]))
    site.host.run(lambda: tracking.put(moved))
    apply(site, port(TCP_IN), requires_syn=True)

    assert [each.state for each in site.host.run(lambda: tracking.of([GUEST]))] == ["ESTABLISHED"]
    assert arrives(sends, takes)


def test_what_is_not_tracked_can_be_removed_and_what_the_tool_refuses_is_told(site):
    tracking = ConnectionTracking()
    unknown = Connection(protocol="udp", source=PEER, destination=GUEST, source_port=1, destination_port=2)

    site.host.run(lambda: tracking.remove([unknown]))
    with pytest.raises(FirewallError):
        site.host.run(lambda: tracking.put([replace(unknown, protocol="bogus")]))
