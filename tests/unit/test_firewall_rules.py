"""Rules as text: what each means, and that nothing gets into them that is not an address, a MAC, a number or a tap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.facts import InterfaceFacts
from common.transfer import Filtering, FilterRule, PortRules
from compute_agent.firewall import rule_text, ruleset
from compute_agent.firewall.guests import FilteredGuest, filtered, steady_tap
from compute_agent.firewall.rule_text import RuleUnfitError

MARK = 0x10000000
MAC = "52:54:00:4C:00:64"


def rule(**fields: object) -> FilterRule:
    return FilterRule(**{"direction": "ingress", "family": 4, "protocol": "any", **fields})  # type: ignore[arg-type]


def guest(
    *rules: FilterRule, instance: str = "a", addresses: tuple[str, ...] = (), tap: str = ""
) -> FilteredGuest:
    ports = (PortRules(mac=MAC, groups=("web",), addresses=addresses, rules=rules),)
    interfaces = (InterfaceFacts(mac=MAC, type="bridge", source="br0", tap=tap),) if tap else ()
    return filtered(instance, Filtering(revision=1, ports=ports), interfaces)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "ether type ip"),
        ({"family": 6}, "ether type ip6"),
        ({"protocol": "tcp"}, "ether type ip meta l4proto tcp"),
        ({"protocol": "tcp", "port_min": 22, "port_max": 22}, "ether type ip meta l4proto tcp th dport 22"),
        ({"protocol": "udp", "port_min": 1, "port_max": 9}, "ether type ip meta l4proto udp th dport 1-9"),
        ({"protocol": "047"}, "ether type ip meta l4proto 47"),
        ({"protocol": "icmp"}, "ether type ip meta l4proto icmp"),
        (
            {"protocol": "icmp", "family": 6, "port_min": 128, "port_max": 0},
            "ether type ip6 meta l4proto ipv6-icmp icmpv6 type 128 icmpv6 code 0",
        ),
        ({"remotes": ("192.0.2.7",)}, "ether type ip ip saddr { 192.0.2.7/32 }"),
        ({"remotes": ("192.0.2.7/24", "192.0.2.0/25")}, "ether type ip ip saddr { 192.0.2.0/24 }"),
        (
            {"direction": "egress", "remotes": ("2001:db8::/32",), "family": 6},
            "ether type ip6 ip6 daddr { 2001:db8::/32 }",
        ),
    ],
)
def test_a_rule_as_nft_reads_it(fields, text):
    assert rule_text.matches(rule(**fields)) == text


def test_a_rule_whose_remotes_are_all_of_the_other_family_lets_nothing_through():
    assert rule_text.matches(rule(family=6, remotes=("192.0.2.0/24",))) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol": "tcp; drop"},
        {"protocol": "256"},
        {"protocol": "tcp", "port_min": 9, "port_max": 1},
        {"protocol": "tcp", "port_min": 1, "port_max": 70_000},
        {"protocol": "icmp", "port_min": 300},
        {"remotes": ("192.0.2.0/33",)},
        {"remotes": ("0.0.0.0/0 } accept #",)},
    ],
)
def test_what_makes_no_rule_is_refused(fields):
    with pytest.raises(RuleUnfitError):
        rule_text.matches(rule(**fields))


@pytest.mark.parametrize("tap", ['web"', "web*", "a b", "sixteen-letters-", ""])
def test_a_name_that_means_something_else_to_nft_is_refused(tap):
    with pytest.raises(RuleUnfitError):
        rule_text.tap(tap)


def test_no_guests_or_guests_without_ports_leave_no_table():
    free = FilteredGuest(instance="a", revision=3)

    assert ruleset.render([], mark=MARK) == ruleset.render([free], mark=MARK)
    assert ruleset.fingerprint_of(ruleset.render([free], mark=MARK)) == ""


def test_the_text_is_the_same_whatever_the_order_and_another_where_something_differs():
    one, two = guest(rule(), instance="a"), FilteredGuest(instance="b", revision=1)
    first = ruleset.render([one, two], mark=MARK)

    assert ruleset.render([two, one], mark=MARK) == first
    assert ruleset.fingerprint_of(
        ruleset.render([one], mark=MARK, requires_syn=True)
    ) == ruleset.fingerprint_of(first)
    assert ruleset.fingerprint_of(
        ruleset.render([guest(rule(protocol="udp"))], mark=MARK)
    ) != ruleset.fingerprint_of(first)


def test_of_two_guests_with_one_mac_the_first_ones_rules_hold():
    text = ruleset.render([guest(instance="b"), guest(rule(protocol="udp"), instance="a")], mark=MARK)

    assert text.count("chain to_5254004c0064") == 1
    assert "instance a revision 1" in text


def test_each_tap_leads_to_its_guest_and_the_automatic_ones_by_mac():
    text = ruleset.render([guest(tap="vnet3")], mark=MARK)

    assert 'oifname vmap { "lm5254004c0064" : jump to_5254004c0064, "vnet3" : jump to_5254004c0064 }' in text
    assert 'iifname "vnet*" ether saddr vmap { 52:54:00:4c:00:64 : jump from_5254004c0064 }' in text


def test_only_this_guests_packets_are_marked():
    text = ruleset.render([guest(addresses=("192.0.2.1", "2001:db8::1"), tap="vnet3")], mark=MARK)
    marking = [line.strip() for line in text.splitlines() if "meta mark set" in line]

    known = "ct state established,related meta mark set meta mark or 0x10000000"
    assert marking == [
        f"ether saddr {{ 52:54:00:4c:00:64 }} {known}",
        f"ether daddr {{ 52:54:00:4c:00:64 }} {known}",
        f"ip daddr {{ 192.0.2.1/32 }} {known}",
        f"ip6 daddr {{ 2001:db8::1/128 }} {known}",
    ]


def test_a_steady_name_fits_the_kernel():
    assert steady_tap(MAC) == "lm5254004c0064"
    assert len(steady_tap(MAC)) <= 15


@given(
    remotes=st.lists(
        st.one_of(
            st.ip_addresses().map(str),
            st.tuples(st.ip_addresses(v=4), st.integers(0, 32)).map("{0[0]}/{0[1]}".format),
        ),
        max_size=8,
    ),
    family=st.sampled_from([4, 6]),
    direction=st.sampled_from(["ingress", "egress"]),
    protocol=st.sampled_from(["any", "tcp", "udp", "icmp", "47"]),
)
def test_a_rule_names_each_remote_of_its_family_once_and_none_of_the_other(
    remotes, family, direction, protocol
):
    words = rule_text.matches(
        rule(remotes=tuple(remotes), family=family, direction=direction, protocol=protocol)
    )

    named = rule_text.networks(remotes, family=family)
    assert (words is None) == (bool(remotes) and not named)
    if words is not None and remotes:
        assert words.count("/") == len(named) == len(set(named))
