"""On the source: whether the dest is found by its name, its libvirtd answers, and its migration ports are reached."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from common.checks import Finding
from common.pair_checks import (
    HOST_UUID_SHARED,
    MIGRATION_HOST_UNUSABLE,
    NAME_UNRESOLVED,
    PEER_IS_ANOTHER,
    PEER_NOT_PROVEN,
    PEER_UNREACHABLE,
    PORT_UNREACHABLE,
)
from compute_agent.checks.look import DestLook, Reaching
from compute_agent.errors import NetworkError
from compute_agent.hypervisor.driver import Identity
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from compute_agent.migrate_request import TUNNELLED, connection_uri

REACH_TIMEOUT_S = 5.0
SSH_TIMEOUT_S = 15.0

# "Failed to verify peer's certificate", "Certificate's owner does not match the hostname", ...: virnettlscontext.c
_CERTIFICATE = "ertificate"

# libvirt.org/uri.html; of a scheme that is not here, libvirt itself is asked at once.
LIBVIRTD_PORTS = {"tcp": 16509, "tls": 16514}
# Name, port and way may be others by ssh_config: ssh alone knows, and takes its time.
_SSH = ("ssh", "libssh", "libssh2")


def check_source_name(look: DestLook) -> Iterator[Finding]:
    """On the dest. For the way back only, so it does not stop this way."""
    if look.source_host:
        try:
            look.network.resolve(look.source_host)
        except NetworkError as error:
            yield NAME_UNRESOLVED.warning(look.settings.host, name=look.source_host, reason=error)


def check_peer(look: Reaching) -> Iterator[Finding]:
    """Of a dest that has answered: one that is silent has a finding already."""
    host, address = look.settings.host, look.reach.connect_address
    if look.dest is None:
        return
    uri = connection_uri(look.settings.live_migration, address)
    is_by_ssh = transport_of(uri) in _SSH
    try:
        addresses = ", ".join(look.network.resolve(address))
    except NetworkError as error:
        if not is_by_ssh:
            yield NAME_UNRESOLVED.finding(host, name=address, reason=error)
            return
        addresses = "a name of ssh_config"
    evidence = {"peer": look.dest_host, "uri": uri, "address": addresses}
    try:
        if not is_by_ssh:
            knock(look, uri)
        found = look.hypervisor.reach(uri, timeout_s=SSH_TIMEOUT_S if is_by_ssh else REACH_TIMEOUT_S)
    except (NetworkError, HypervisorUnreachableError) as error:
        reason = str(error.fields["reason"]).rstrip(".")
        is_unproven = transport_of(uri) == "tls" and _CERTIFICATE in reason
        yield (PEER_NOT_PROVEN if is_unproven else PEER_UNREACHABLE).finding(host, **evidence, reason=reason)
        return
    if not _is_it(found, look):
        yield PEER_IS_ANOTHER.finding(host, **evidence, found=f"{found.hostname} ({found.uuid})")


def check_host_uuid(look: Reaching) -> Iterator[Finding]:
    """libvirt takes two hosts of one uuid for the same, and refuses: "Attempt to migrate guest to the same host"."""
    own = look.hypervisor.identity().uuid
    if own and own == look.reach.host_uuid:
        yield HOST_UUID_SHARED.finding(look.settings.host, peer=look.dest_host, uuid=own)


def check_ports(look: Reaching) -> Iterator[Finding]:
    """The dest holds them open for us. Through libvirt's tunnel no port of its own is needed."""
    if TUNNELLED in look.settings.live_migration.flags:
        return
    address = look.reach.inbound_address
    if not address:
        address = _told_by_libvirt(look)
        reason = _unusable(address, look)
        if reason:
            yield MIGRATION_HOST_UNUSABLE.finding(
                look.settings.host, peer=look.dest_host, name=address, reason=reason
            )
            return
    for port in look.reach.ports:
        try:
            look.network.connect(address, port)
        except NetworkError as error:
            yield _port_unreachable(look, address, port, error)


def _port_unreachable(look: Reaching, address: str, port: int, error: NetworkError) -> Finding:
    first, last = look.reach.port_range or (min(look.reach.ports), max(look.reach.ports))
    return PORT_UNREACHABLE.finding(
        look.settings.host,
        peer=look.dest_host,
        address=address,
        port=port,
        reason=error,
        port_min=first,
        port_max=last,
    )


def _told_by_libvirt(look: Reaching) -> str:
    """Where the dest's libvirt has the memory sent when it is not told: qemuMigrationDstPrepareDirect."""
    configured = "" if look.dest is None else look.dest.migration_host
    return configured or look.reach.hostname or look.reach.connect_address


def _unusable(name: str, look: Reaching) -> str:
    """Why the source would not find the dest by it; libvirt itself refuses names that begin so."""
    if name.startswith("localhost"):
        return "no other host is found under that"
    try:
        addresses = look.network.resolve(name)
    except NetworkError as error:
        return f"{look.settings.host} cannot resolve that: {error}"
    own = [address for address in addresses if _is_loopback(address)]
    return f"on {look.settings.host} that is {own[0]}, which is its own" if own else ""


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def knock(look: Reaching, uri: str) -> None:
    """Raises NetworkError. libvirt would wait for the kernel's patience, some minutes, where a firewall drops."""
    parts = urlsplit(uri)
    port = parts.port or LIBVIRTD_PORTS.get(transport_of(uri))
    if parts.hostname and port is not None:
        look.network.connect(parts.hostname, port)


def transport_of(uri: str) -> str:
    return urlsplit(uri).scheme.partition("+")[2]


def _is_it(found: Identity, look: Reaching) -> bool:
    if look.reach.host_uuid and found.uuid:
        return found.uuid == look.reach.host_uuid
    return look.reach.hostname in ("", found.hostname)
