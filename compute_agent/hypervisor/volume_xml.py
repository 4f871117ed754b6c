"""Disks on servers, read from domain XML: to which server QEMU connects itself, and under what name. Pure, and total.

Queries and cookies of http may hold tokens: they are not read.
"""

from collections.abc import Iterator
from typing import Final

from common.volumes import UNIX_PREFIX, VolumeConnection
from compute_agent.hypervisor.xml_text import Element

# What QEMU takes where the XML names none (libvirt: virStorageSourceNetworkDefaultPort).
_PORTS: Final = {
    "nbd": 10809, "iscsi": 3260, "rbd": 6789, "gluster": 24007, "http": 80, "https": 443, "ftp": 21, "ftps": 990,
    "tftp": 69, "ssh": 22, "sheepdog": 7000, "vxhs": 9999,
}  # fmt: skip
_LAYERS: Final = ("backingStore", "mirror", "dataStore")
_NETWORK: Final = "network"


def volumes(domain: Element) -> tuple[VolumeConnection, ...]:
    """One for each disk of type network, and for each such image below a disk."""
    return tuple(volume for disk in domain.find_all("devices/disk") for volume in _of_disk(disk))


def _of_disk(disk: Element) -> Iterator[VolumeConnection]:
    target = disk.find("target")
    name = target.get("dev") if target is not None else ""
    waiting = [disk]
    while waiting:  # without recursion: the depth is the document's choice
        element = waiting.pop(0)
        source = element.find("source")
        if element.get("type") == _NETWORK and source is not None and source.get("protocol"):
            yield _connection(name, source, element)
        waiting += [child for child in element.children if child.tag in _LAYERS]


def _connection(target: str, source: Element, holder: Element) -> VolumeConnection:
    initiator = source.find("initiator/iqn")
    auth = source.find("auth") or holder.find("auth")
    secret = auth.find("secret") if auth is not None else None
    return VolumeConnection(
        target=target,
        driver=source.get("protocol"),
        name=source.get("name"),
        servers=tuple(
            filter(None, (_server(host, source.get("protocol")) for host in source.find_all("host")))
        ),
        initiator=initiator.get("name") if initiator is not None else "",
        secret=secret.get("uuid") or secret.get("usage") if secret is not None else "",
        properties=_properties(source, auth),
    )


def _server(host: Element, protocol: str) -> str:
    if host.get("transport") == "unix":
        return f"{UNIX_PREFIX}{host.get('socket')}"
    name, port = host.get("name"), host.get("port")
    if not (port.isascii() and port.isdecimal()):
        port = str(_PORTS.get(protocol, ""))
    if not name or not port:
        return ""
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _properties(source: Element, auth: Element | None) -> dict[str, str]:
    config, snapshot = source.find("config"), source.find("snapshot")
    found = {
        "user": auth.get("username") if auth is not None else "",
        "tls": source.get("tls") if source.get("tls") == "yes" else "",
        "config": config.get("file") if config is not None else "",  # of rbd: where its monitors stand
        "snapshot": snapshot.get("name") if snapshot is not None else "",
    }
    return {name: value for name, value in found.items() if value}
