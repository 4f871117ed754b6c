"""Which networks make sense."""

from dataclasses import replace

import pytest

from common.errors import InvalidRequestError
from common.network_views import NetworkKind, NetworkRequest
from conductor.network_rules import completed

VLAN = NetworkRequest(name="blue", kind=NetworkKind.VLAN, segment=100, bridge="br-blue", physical="eth1")
VXLAN = NetworkRequest(name="red", kind=NetworkKind.VXLAN, segment=4242, bridge="br-red")


def test_each_kind_has_its_defaults():
    assert completed(VLAN) == replace(VLAN, mtu=1500)
    assert completed(VXLAN) == replace(VXLAN, mtu=1450, port=4789)


def test_what_is_given_stays():
    wanted = replace(VXLAN, mtu=8950, port=8472, group="FF05:0::1")
    assert completed(wanted) == replace(wanted, group="ff05::1")
    assert completed(replace(VXLAN, peers=("10.0.0.2", "10.0.0.1", "10.0.0.2"))).peers == (
        "10.0.0.1",
        "10.0.0.2",
    )


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (replace(VLAN, name=""), "A network's name"),
        (replace(VLAN, name="a b"), "A network's name"),
        (replace(VLAN, name="x" * 64), "A network's name"),
        (replace(VLAN, bridge="br-0123456789abc"), "A bridge's name"),
        (replace(VLAN, bridge="br/blue"), "A bridge's name"),
        (replace(VLAN, bridge=".."), "A bridge's name"),
        (replace(VLAN, bridge="vnet3"), "other devices have such names"),
        (replace(VLAN, bridge="vxlan100"), "other devices have such names"),
        (replace(VLAN, bridge="eth1.100"), "other devices have such names"),
        (replace(VLAN, bridge="lo"), "other devices have such names"),
        (replace(VLAN, mtu=575), "MTU"),
        (replace(VLAN, mtu=9217), "MTU"),
        (replace(VLAN, segment=0), "VLAN id"),
        (replace(VLAN, segment=4095), "VLAN id"),
        (replace(VLAN, physical=None), "--physical"),
        (replace(VLAN, physical="eth 1"), "cannot be the name of a device"),
        (replace(VLAN, physical="br-blue"), "cannot be the bridge and what carries it"),
        (replace(VLAN, group="239.1.1.1"), "neither multicast group nor port"),
        (replace(VLAN, port=4789), "neither multicast group nor port"),
        (replace(VLAN, peers=("10.0.0.1",)), "nor peers"),
        (replace(VXLAN, peers=("10.0.0.1",), group="239.1.1.1"), "one of the two"),
        (replace(VXLAN, peers=("nonsense",)), "no address of a peer"),
        (replace(VXLAN, peers=("239.1.1.1",)), "no address of a peer"),
        (replace(VXLAN, peers=("0.0.0.0",)), "no address of a peer"),
        (replace(VXLAN, peers=tuple(f"10.0.0.{n}" for n in range(65))), "At most 64"),
        (replace(VXLAN, segment=0), "A VNI"),
        (replace(VXLAN, segment=2**24), "A VNI"),
        (replace(VXLAN, physical="eth1"), "vtep_address"),
        (replace(VXLAN, port=0), "A port"),
        (replace(VXLAN, port=65536), "A port"),
        (replace(VXLAN, group="10.0.0.1"), "no multicast address"),
        (replace(VXLAN, group="nonsense"), "no multicast address"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(request_, said):
    with pytest.raises(InvalidRequestError, match=said):
        completed(request_)
