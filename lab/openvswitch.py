"""Open vSwitch on a host, in userspace: a bridge that is joined with the data network. It ends with the host."""

import sys
from pathlib import Path

from lab import network
from lab.namespaces import Namespaces
from lab.waiting import wait_until

BRIDGE = "br-ovs"
UPLINK = "ovs-up"
_BELOW = "ovs-down"  # the uplink's other end, in the host's br-data
_RUN = Path("/run/openvswitch")  # where all its programs look, and libvirt's ovs-vsctl too
_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
_START_TIMEOUT_S = 20.0

# It takes frames from AF_PACKET, before anybody has filled in checksums that a sender left to its device. There is no
# ethtool here: ETHTOOL_STXCSUM, STSO and SGSO of linux/ethtool.h.
_WITHOUT_OFFLOADS = """
import ctypes, fcntl, socket, struct, sys
with socket.socket() as control:
    for device in sys.argv[1:]:
        for command in (0x17, 0x1f, 0x24):
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            fcntl.ioctl(control, 0x8946, struct.pack("16sP16x", device.encode(), ctypes.addressof(value)))
"""

INTERFACE_SOURCE = f"""<source bridge='{BRIDGE}'/><virtualport type='openvswitch'/>
      <driver><host csum='off' gso='off' tso4='off' tso6='off' ecn='off' ufo='off'/>
      <guest csum='off' tso4='off' tso6='off' ecn='off' ufo='off'/></driver>"""
"""What a guest's interface has in place of its `<source>`: a guest that leaves checksums to its device is not heard."""


def start(host: Namespaces) -> None:
    """Return when the bridge forwards."""
    log = Path("/var/log/limosa/openvswitch.log")
    host.run(["mkdir", "-p", str(_RUN)])
    host.run(["ovsdb-tool", "create", f"{_RUN}/conf.db", _SCHEMA])
    host.spawn("ovsdb-server", ["ovsdb-server", f"{_RUN}/conf.db", f"--remote=punix:{_RUN}/db.sock"], log=log)
    wait_until(
        lambda: host.run(["ovs-vsctl", "--no-wait", "init"], check=False).returncode == 0,
        what=f"the database of Open vSwitch answers on {host.name}",
        timeout_s=_START_TIMEOUT_S,
    )
    pid_file = f"--pidfile={_RUN}/ovs-vswitchd.pid"
    host.spawn(
        "ovs-vswitchd", ["ovs-vswitchd", f"unix:{_RUN}/db.sock", pid_file, "--disable-system"], log=log
    )
    timeout = f"--timeout={_START_TIMEOUT_S:.0f}"
    host.run(["ovs-vsctl", timeout, "add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev"])
    host.run(["ip", "link", "add", UPLINK, "type", "veth", "peer", "name", _BELOW])
    host.run([sys.executable, "-I", "-S", "-c", _WITHOUT_OFFLOADS, UPLINK, _BELOW])
    host.run(["ip", "link", "set", _BELOW, "master", network.GUEST_BRIDGE, "up"])
    for device in (UPLINK, BRIDGE):
        host.run(["ip", "link", "set", device, "up"])
    host.run(["ovs-vsctl", timeout, "add-port", BRIDGE, UPLINK])
