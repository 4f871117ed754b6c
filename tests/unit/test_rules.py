"""Which rules of a security group make sense, and what is said of those that make none."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from common.errors import InvalidRequestError
from common.firewall_views import RuleRequest
from common.states import Direction
from compute_agent.firewall.guests import FilteredGuest, FilteredPort
from compute_agent.firewall.ruleset import render
from conductor.filtering import Compiler, DeclaredPort, GroupRule
from conductor.rules import sensible


def ask(**changes):
    return RuleRequest(**{"group": "web", "direction": Direction.INGRESS, **changes})


def kept(**changes):
    values = {"direction": Direction.INGRESS, "family": 4, "protocol": "any"}
    return GroupRule(**{**values, **changes})


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({}, {}),
        ({"family": 6}, {"family": 6}),
        (
            {"protocol": "tcp", "port_min": 80, "port_max": 90},
            {"protocol": "tcp", "port_min": 80, "port_max": 90},
        ),
        (
            {"protocol": "6", "port_min": 22, "port_max": 22},
            {"protocol": "tcp", "port_min": 22, "port_max": 22},
        ),
        ({"protocol": "UDP"}, {"protocol": "udp"}),
        ({"protocol": "17"}, {"protocol": "udp"}),
        ({"protocol": "tcp", "port_min": 1, "port_max": 65_535}, {"protocol": "tcp"}),
        ({"protocol": "gre"}, {"protocol": "47"}),
        ({"protocol": "255"}, {"protocol": "255"}),
        (
            {"protocol": "icmp", "icmp_type": 8, "icmp_code": 0},
            {"protocol": "icmp", "port_min": 8, "port_max": 0},
        ),
        ({"protocol": "icmp", "icmp_type": 0}, {"protocol": "icmp", "port_min": 0}),
        ({"protocol": "icmp", "family": 6}, {"protocol": "icmp", "family": 6}),
        ({"protocol": "icmpv6"}, {"protocol": "icmp", "family": 6}),
        ({"protocol": "58"}, {"protocol": "icmp", "family": 6}),
        ({"protocol": "1"}, {"protocol": "icmp"}),
        ({"remote": "10.0.0.0/8"}, {"remote": "10.0.0.0/8"}),
        ({"remote": "10.0.0.7"}, {"remote": "10.0.0.7/32"}),
        ({"remote": "2001:DB8:0::/32"}, {"remote": "2001:db8::/32", "family": 6}),
        ({"remote": "0.0.0.0/0"}, {}),
        ({"remote": "::/0"}, {"family": 6}),
        ({"remote_group": "db", "family": 6}, {"remote_group": "db", "family": 6}),
        (
            {"direction": Direction.EGRESS, "remote": "224.0.0.251"},
            {"direction": Direction.EGRESS, "remote": "224.0.0.251/32"},
        ),
    ],
)
def test_a_rule_is_kept_in_one_spelling(asked, rule):
    assert sensible(ask(**asked)) == kept(**rule)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"protocol": "tcp", "port_min": 90, "port_max": 80}, "The ports 90 to 80 are in the wrong order."),
        ({"protocol": "tcp", "port_min": 0, "port_max": 80}, "0 is not a port: those are 1 to 65535."),
        (
            {"protocol": "udp", "port_min": 80, "port_max": 65_536},
            "65536 is not a port: those are 1 to 65535.",
        ),
        ({"protocol": "tcp", "port_min": -1, "port_max": -1}, "-1 is not a port"),
        ({"protocol": "tcp", "port_min": 80}, "the first and the last are given, or none"),
        (
            {"protocol": "icmp", "port_min": 80, "port_max": 80},
            "icmp has no ports; it has a type and a code.",
        ),
        ({"protocol": "icmpv6", "port_min": 80, "port_max": 80}, "icmp has no ports"),
        (
            {"port_min": 80, "port_max": 80},
            "Ports need a protocol that has them, tcp or udp; this rule is about any.",
        ),
        ({"protocol": "gre", "port_min": 80, "port_max": 80}, "this rule is about gre"),
        ({"protocol": "tcp", "icmp_type": 8}, "Types and codes are of icmp; tcp has none."),
        ({"protocol": "icmp", "icmp_code": 0}, "Code 0 means nothing without a type."),
        ({"protocol": "icmp", "icmp_type": 256}, "256 is not a type of icmp: those are 0 to 255."),
        ({"protocol": "icmp", "icmp_type": 3, "icmp_code": -1}, "-1 is not a code of icmp"),
        ({"protocol": "tpc"}, "There is no protocol tpc; known are any, tcp, udp, icmp, icmpv6, igmp"),
        ({"protocol": "256"}, "There is no protocol 256"),
        ({"protocol": "-1"}, "There is no protocol -1"),
        ({"protocol": "²"}, "There is no protocol ²"),
        ({"protocol": ""}, "There is no protocol"),
        (
            {"remote": "10.0.0.5/24"},
            "10.0.0.5/24 has bits beyond its prefix: the network is 10.0.0.0/24, the one address 10.0.0.5.",
        ),
        ({"remote": "10.0.0.0/33"}, "10.0.0.0/33 is neither an address nor a CIDR."),
        ({"remote": "web1"}, "web1 is neither an address nor a CIDR."),
        ({"remote": ""}, "is neither an address nor a CIDR."),
        ({"remote": "fe80::1%eth0"}, "is neither an address nor a CIDR."),
        ({"remote": "::ffff:10.0.0.1"}, "is IPv4 written as IPv6"),
        ({"remote": "2001:db8::/32", "family": 4}, "2001:db8::/32 is of IPv6, and the rule of IPv4."),
        ({"remote": "10.0.0.0/8", "family": 6}, "10.0.0.0/8 is of IPv4, and the rule of IPv6."),
        ({"protocol": "icmpv6", "remote": "10.0.0.0/8"}, "10.0.0.0/8 is of IPv4, and the rule of IPv6."),
        ({"protocol": "icmpv6", "family": 4}, "The protocol icmpv6 is of IPv6, and the rule of IPv4."),
        ({"protocol": "1", "family": 6}, "The protocol 1 is of IPv4, and the rule of IPv6."),
        ({"family": 5}, "A rule is of IP version 4 or 6, not 5."),
        ({"remote": "10.0.0.0/8", "remote_group": "db"}, "about a CIDR or about a group, not about both"),
        ({"remote": "224.0.0.0/4"}, "Nobody sends from 224.0.0.0/4: it is multicast."),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_a_sentence(asked, sentence):
    with pytest.raises(InvalidRequestError) as caught:
        sensible(ask(**asked))
    assert sentence in str(caught.value)
    assert caught.value.exit_code == 2


# ---- of everything that can be asked

numbers = st.none() | st.integers(min_value=-1, max_value=300) | st.sampled_from((65_535, 65_536, 2**64))
networks = st.ip_addresses().flatmap(
    lambda address: st.sampled_from((str(address), f"{address}/0", f"{address}/24", f"{address}/32"))
)
requests = st.builds(
    RuleRequest,
    group=st.just("web"),
    direction=st.sampled_from(list(Direction)),
    protocol=st.sampled_from(("any", "tcp", "udp", "icmp", "icmpv6", "gre", "sctp")) | st.text(max_size=3),
    family=st.sampled_from((None, 4, 6, 5)),
    port_min=numbers,
    port_max=numbers,
    icmp_type=numbers,
    icmp_code=numbers,
    remote=st.none() | networks | st.text(max_size=9),
    remote_group=st.sampled_from((None, "db")),
)


def rule_or_nothing(request):
    with suppress(InvalidRequestError):
        return sensible(request)
    return None


def again(rule):
    """What would have to be asked for a rule that is kept."""
    is_icmp = rule.protocol == "icmp"
    ends = {"icmp_type": rule.port_min, "icmp_code": rule.port_max}
    return RuleRequest(
        group="web",
        direction=rule.direction,
        protocol=rule.protocol,
        family=rule.family,
        remote=rule.remote,
        remote_group=rule.remote_group,
        **(ends if is_icmp else {"port_min": rule.port_min, "port_max": rule.port_max}),
    )


@given(requests)
def test_whatever_is_asked_is_refused_with_a_sentence_or_kept_in_one_spelling(request):
    rule = rule_or_nothing(request)
    assert rule is None or sensible(again(rule)) == rule


@settings(
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)  # most of what can be asked makes no sense
@given(requests)
def test_what_is_kept_can_be_told_to_nftables(request):
    rule = rule_or_nothing(request)
    assume(rule is not None)
    mac = "52:54:00:00:00:01"
    port = DeclaredPort(mac=mac, groups=("web",), addresses=("10.0.0.1", "fd00::1"))
    filtering = Compiler({"web": [rule]}, {"db": ("10.0.0.2", "fd00::2")}).filtering(1, [port])
    (rules,) = filtering.ports

    text = render(
        [FilteredGuest(instance="i", revision=1, ports=(FilteredPort(rules=rules, taps=("tap0",)),))], mark=1
    )

    assert "chain to_525400000001" in text
    assert len(rules.rules) == 1
