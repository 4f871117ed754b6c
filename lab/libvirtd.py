"""One libvirtd per compute host."""

from pathlib import Path

from lab import network
from lab.errors import LabError, last_lines
from lab.host import host_uuid
from lab.namespaces import Namespaces
from lab.paths import LabPaths
from lab.processes import Process
from lab.waiting import wait_until

SERVICE = "libvirtd"
LOG = Path("/var/log/libvirt/libvirtd.out")
START_TIMEOUT_S = 30.0

_LIBVIRTD_CONF = """\
host_uuid = "{host_uuid}"
listen_tcp = 0
auth_unix_ro = "none"
auth_unix_rw = "none"
keepalive_interval = 2
keepalive_count = 3
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
"""

_QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
dynamic_ownership = 0
remember_owner = 0
swtpm_user = "root"
swtpm_group = "root"
migration_address = "{address}"
migration_host = "{name}"
vnc_listen = "{address}"
keepalive_interval = 2
keepalive_count = 3
"""


def configure(name: str, *, paths: LabPaths) -> None:
    """Write libvirt's configuration into the host's tree; `tls` adds to it."""
    top = paths.host(name) / "etc/libvirt"
    address = network.addresses(name).management
    (top / "libvirtd.conf").write_text(_LIBVIRTD_CONF.format(host_uuid=host_uuid(name)))
    (top / "qemu.conf").write_text(_QEMU_CONF.format(address=address, name=name))


def start(host: Namespaces) -> Process:
    """Start libvirtd and return when it answers. It finds the guests that outlived an earlier one."""
    process = host.spawn(SERVICE, ["/usr/sbin/libvirtd", "--listen"], log=LOG)
    wait_until(
        lambda: _answers(host, process),
        what=f"{host.name}: libvirtd answers",
        timeout_s=START_TIMEOUT_S,
        hint=lambda: _end_of_log(host),
    )
    return process


def _answers(host: Namespaces, process: Process) -> bool:
    if not process.is_alive():
        raise LabError(f"{host.name}: libvirtd ended at once", hint=_end_of_log(host))
    if not host.seen_from_outside(Path("/run/libvirt/libvirt-sock")).exists():
        return False
    return host.run(["virsh", "-q", "-c", "qemu:///system", "list"], check=False).returncode == 0


def _end_of_log(host: Namespaces) -> str:
    texts = [host.seen_from_outside(log) for log in (LOG, Path("/var/log/libvirt/libvirtd.log"))]
    return last_lines("\n".join(text.read_text() for text in texts if text.exists()))
