"""What ovs-vswitchd (3.1) says of its bridges, read."""

import pytest

from compute_agent.openvswitch import HostOpenVSwitch

MAC = "52:54:00:4c:00:64"
SHOWN = {
    ("fdb/show", "br-ovs"): f"""\
 port  VLAN  MAC                Age
    2     0  {MAC}    1
    1   100  9e:76:d6:c1:7f:3f    0
LOCAL     0  26:29:c0:e3:55:41    3
    9     0  52:54:00:4c:00:09    3
""",
    ("dpif/show",): """\
netdev@ovs-netdev: hit:10 missed:3
  br-else:
    br-else 65534/3: (tap)
    vnet9 2/5: (system)
  br-ovs:
    br-ovs 65534/1: (tap)
    ovs-up 1/2: (system)
    vnet0 2/4: (system)
""",
}


@pytest.mark.parametrize(
    ("mac", "port"),
    [
        (MAC.upper(), "vnet0"),
        ("9e:76:d6:c1:7f:3f", "ovs-up"),
        ("26:29:c0:e3:55:41", "br-ovs"),
        ("52:54:00:4c:00:09", None),  # its port went in between
        ("52:54:00:4c:00:08", None),
    ],
)
def test_a_mac_is_found_at_the_port_of_that_bridge(mac, port):
    switch = HostOpenVSwitch(lambda *words: SHOWN[words])

    assert switch.port_of(mac, bridge="br-ovs") == port
