"""From groups to the rules of interfaces, compared with what the groups themselves say of single packets."""

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from common.states import Direction
from common.transfer import FilterRule
from conductor.filtering import Compiler, DeclaredPort, GroupRule
from conductor.rules import OUTWARDS

MAC = "52:54:00:00:00:01"
GROUPS = ("web", "db", "empty")
ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.1.1", "2001:db8::1", "2001:db8::2", "2001:db8:1::1")
CIDRS = {
    4: ("10.0.0.0/24", "10.0.0.2/32", "10.0.0.0/23", "0.0.0.0/1", "128.0.0.0/1"),
    6: ("2001:db8::/32", "2001:db8::1/128"),
}


@dataclass(frozen=True)
class Packet:
    """What begins something: its direction as the guest sees it, who is at the other end, and where it goes."""

    direction: str
    remote: str
    protocol: str
    port: int

    @property
    def family(self):
        return ip_address(self.remote).version


def says(rule, packet):
    """Whether a rule of a group or of an interface is about this packet, leaving aside who is at the other end."""
    return (
        (str(rule.direction), rule.family) == (packet.direction, packet.family)
        and rule.protocol in ("any", packet.protocol)
        and (rule.port_min is None or rule.port_min <= packet.port <= rule.port_max)
    )


def meant(port, rules, members, packet):
    """Whether the groups of an interface let a packet through, read as they stand."""

    def includes(rule):
        if rule.remote_group is not None:
            return packet.remote in members.get(rule.remote_group, ())
        return rule.remote is None or ip_address(packet.remote) in ip_network(rule.remote)

    return any(
        says(rule, packet) and includes(rule) for group in port.groups for rule in rules.get(group, ())
    )


def passes(rules, packet):
    """Whether the rules of an interface let it through."""
    return any(
        says(rule, packet)
        and (
            not rule.remotes
            or any(ip_address(packet.remote) in ip_network(remote) for remote in rule.remotes)
        )
        for rule in rules
    )


def compiled(port, rules, members):
    (found,) = Compiler(rules, members).filtering(1, [port]).ports
    return found.rules


@st.composite
def group_rules(draw):
    family = draw(st.sampled_from((4, 6)))
    protocol = draw(st.sampled_from(("any", "tcp", "udp")))
    ports = draw(st.sampled_from(((None, None), (80, 80), (80, 443), (1, 79))))
    about = draw(st.sampled_from(("anybody", "cidr", "group")))
    return GroupRule(
        direction=draw(st.sampled_from(list(Direction))),
        family=family,
        protocol=protocol,
        port_min=None if protocol == "any" else ports[0],
        port_max=None if protocol == "any" else ports[1],
        remote=draw(st.sampled_from(CIDRS[family])) if about == "cidr" else None,
        remote_group=draw(st.sampled_from(GROUPS)) if about == "group" else None,
    )


packets = st.builds(
    Packet,
    direction=st.sampled_from([str(direction) for direction in Direction]),
    remote=st.sampled_from(ADDRESSES),
    protocol=st.sampled_from(("tcp", "udp", "47")),
    port=st.sampled_from((1, 79, 80, 81, 443, 444)),
)
rule_books = st.dictionaries(st.sampled_from(GROUPS), st.lists(group_rules(), max_size=6), max_size=3)
member_books = st.dictionaries(
    st.sampled_from(("web", "db")), st.lists(st.sampled_from(ADDRESSES), max_size=5)
)
ports = st.builds(
    DeclaredPort, mac=st.just(MAC), groups=st.lists(st.sampled_from(GROUPS), min_size=1).map(tuple)
)


@given(ports, rule_books, member_books, packets)
def test_an_interface_lets_through_exactly_what_its_groups_do(port, rules, members, packet):
    assert passes(compiled(port, rules, members), packet) == meant(port, rules, members, packet)


@given(ports, rule_books, member_books, packets, st.sampled_from(GROUPS))
def test_a_group_more_takes_nothing_away(port, rules, members, packet, group):
    if passes(compiled(port, rules, members), packet):
        more = replace(port, groups=(*port.groups, group))
        assert passes(compiled(more, rules, members), packet)


@given(ports, rule_books, member_books, st.randoms())
def test_the_same_declarations_give_the_same_rules_in_whatever_order(port, rules, members, random):
    def shuffled(values):
        return random.sample(list(values), len(values))

    other = replace(port, groups=tuple(shuffled(port.groups)))
    mixed = {group: shuffled(found) for group, found in rules.items()}
    assert compiled(port, rules, members) == compiled(
        other, mixed, {group: shuffled(found) for group, found in members.items()}
    )


@given(ports, rule_books, member_books)
def test_remotes_of_one_rule_never_overlap_and_no_two_rules_are_about_the_same(port, rules, members):
    found = compiled(port, rules, members)
    for rule in found:
        networks = [ip_network(remote) for remote in rule.remotes]
        assert all(network.version == rule.family for network in networks)
        assert not any(a is not b and a.overlaps(b) for a in networks for b in networks)
    assert len({replace(rule, remotes=()) for rule in found}) == len(found)


def test_a_rule_about_a_group_without_addresses_lets_nobody_through():
    rule = GroupRule(direction=Direction.INGRESS, family=4, protocol="tcp", remote_group="db")
    port = DeclaredPort(mac=MAC, groups=("web",))

    for members in ({}, {"db": ()}, {"db": ("2001:db8::1",)}):
        assert compiled(port, {"web": [rule]}, members) == ()


def test_both_halves_of_the_world_are_anybody():
    halves = [
        GroupRule(direction=Direction.INGRESS, family=4, protocol="any", remote=remote)
        for remote in ("0.0.0.0/1", "128.0.0.0/1")
    ]
    port = DeclaredPort(mac=MAC, groups=("web",))

    assert compiled(port, {"web": halves}, {}) == (FilterRule(direction="ingress", family=4, protocol="any"),)


def test_a_new_group_lets_everything_out_and_nothing_in():
    rules = compiled(DeclaredPort(mac=MAC, groups=("web",)), {"web": OUTWARDS}, {})

    for remote in ADDRESSES:
        assert passes(rules, Packet("egress", remote, "tcp", 80))
        assert not passes(rules, Packet("ingress", remote, "tcp", 80))


def test_only_interfaces_with_a_group_are_filtered():
    ports = [
        DeclaredPort(mac="52:54:00:00:00:02", addresses=("10.0.0.2",)),
        DeclaredPort(mac=MAC, groups=("web",)),
    ]

    found = Compiler({}, {}).filtering(7, ports)

    assert (found.revision, [port.mac for port in found.ports]) == (7, [MAC])
    assert found.ports[0].rules == ()
