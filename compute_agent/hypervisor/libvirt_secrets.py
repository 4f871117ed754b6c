"""Secrets of libvirtd. Functions take virConnect and run in native threads."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from xml.sax.saxutils import escape

import libvirt

from compute_agent.hypervisor.connection import Connection
from compute_agent.hypervisor.control import ControlConnection
from compute_agent.hypervisor.secrets import Secret, SecretValue
from compute_agent.hypervisor.xml_text import XmlText

T = TypeVar("T")

# Where the name of a usage stands in a secret's XML (libvirt.org/formatsecret.html), by its kind.
_USAGE_TAGS = {"ceph": "name", "iscsi": "target", "volume": "volume", "tls": "name", "vtpm": "name"}


class LibvirtSecrets:
    """Mixed into `libvirt_hypervisor.LibvirtHypervisor`; see `secrets.Secrets`."""

    _control: ControlConnection
    _timeout_s: float

    def secret(self, name: str) -> Secret | None:
        return self._control.call(partial(_secret, name=name))

    def secret_at(self, uri: str, name: str) -> Secret | None:
        return self._at(uri, partial(_secret, name=name))

    def secret_value_at(self, uri: str, name: str) -> SecretValue | None:
        return self._at(uri, partial(_value, name=name))

    def define_secret(self, secret: Secret, value: SecretValue) -> None:
        self._control.call(partial(_define, xml=_xml(secret), value=value))

    def remove_secret(self, uuid: str) -> None:
        self._control.call(partial(_remove, uuid=uuid))

    def _at(self, uri: str, function: Callable[[Any], T]) -> T:
        connection = Connection.open(uri, timeout_s=self._timeout_s, is_peer=True)
        try:
            return connection.call(function, timeout_s=self._timeout_s)
        finally:
            connection.close()


def _found(connection: Any, name: str) -> Any | None:
    """Of two usages of one name the first: domain XML tells their kinds apart, and a guest has both on its source."""
    secrets = connection.listAllSecrets()
    by_uuid = (secret for secret in secrets if secret.UUIDString() == name.lower())
    return next(by_uuid, None) or next((secret for secret in secrets if secret.usageID() == name), None)


def _secret(connection: Any, name: str) -> Secret | None:
    found = _found(connection, name)
    if found is None:
        return None
    root = XmlText.parse(found.XMLDesc(0)).root
    is_private = root.get("private") == "yes"
    usage = root.find("usage")
    return Secret(
        uuid=found.UUIDString(),
        kind=usage.get("type") if usage is not None else "",
        usage=found.usageID() or "",
        is_private=is_private,
        is_ephemeral=root.get("ephemeral") == "yes",
        has_value=is_private or _value_of(found) is not None,
    )


def _value(connection: Any, name: str) -> SecretValue | None:
    found = _found(connection, name)
    return None if found is None else _value_of(found)


def _value_of(secret: Any) -> SecretValue | None:
    try:
        return SecretValue(data=secret.value(0))
    except libvirt.libvirtError as error:
        # None was ever set, or it is private, which libvirt keeps even from root.
        if error.get_error_code() in (libvirt.VIR_ERR_NO_SECRET, libvirt.VIR_ERR_INVALID_SECRET):
            return None
        raise


def _define(connection: Any, xml: str, value: SecretValue) -> None:
    connection.secretDefineXML(xml, 0).setValue(value.data, 0)


def _remove(connection: Any, uuid: str) -> None:
    try:
        connection.secretLookupByUUIDString(uuid).undefine()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SECRET:
            raise


def _xml(secret: Secret) -> str:
    tag = _USAGE_TAGS.get(secret.kind)
    usage = ""
    if tag is not None:
        usage = f"<usage type='{secret.kind}'><{tag}>{escape(secret.usage)}</{tag}></usage>"
    private, ephemeral = ("yes" if is_so else "no" for is_so in (secret.is_private, secret.is_ephemeral))
    return f"<secret private='{private}' ephemeral='{ephemeral}'><uuid>{secret.uuid}</uuid>{usage}</secret>"
