"""What administrators declare of a guest's interfaces: their addresses, and the groups that they are in."""

import json
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final, TypeVar

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from common.errors import InvalidRequestError, PortNotDeclaredError, PortNotFoundError
from common.firewall_views import PortFilter, PortRequest, PortView
from conductor import security_groups
from conductor.db import filtering, instances
from conductor.db.engine import Database
from conductor.db.firewall_models import Port, PortGroup
from conductor.db.models import Instance
from conductor.filtering import DeclaredPort
from conductor.sender import Sender

ADDRESSES_MAX: Final = 32  # of one interface
GROUPS_MAX: Final = 16

T = TypeVar("T")


class GuestPorts:
    """The only writer of ports."""

    def __init__(self, database: Database, sender: Sender) -> None:
        self._database = database
        self._sender = sender

    def declare(self, request: PortRequest) -> PortView:
        """What is given replaces what was. An interface with neither address nor group is as one never declared.

        Raises InvalidRequestError, InstanceNotFoundError, InstanceAmbiguousError, PortNotFoundError,
        SecurityGroupNotFoundError.
        """
        addresses = None if request.addresses is None else _addresses(request.addresses)
        groups = None if request.groups is None else _groups(request.groups)
        if addresses is groups is None:
            raise InvalidRequestError(reason="Nothing is given to be set: neither addresses nor groups.")

        def change(session: Session) -> tuple[PortView, set[str]]:
            revision = filtering.tick(session)
            row = instances.find(session, request.instance)
            mac = _mac_of(row, request.mac)
            for group in groups or ():
                security_groups.get(session, group)
            before = _declared(session, row.uuid, mac)
            after = DeclaredPort(
                mac=mac,
                addresses=before.addresses if addresses is None else addresses,
                groups=before.groups if groups is None else groups,
            )
            return _view(row, after), _replace(session, row.uuid, before, after, revision)

        return self._transact(change)

    def forget(self, instance: str, mac: str) -> PortView:
        """Forget all that is declared of an interface, also of a guest that is gone.

        Raises InstanceNotFoundError, InstanceAmbiguousError, PortNotDeclaredError.
        """

        def change(session: Session) -> tuple[PortView, set[str]]:
            revision = filtering.tick(session)
            row = instances.find_ever(session, instance)
            before = _declared(session, row.uuid, mac.strip().lower())
            if not (before.addresses or before.groups):
                raise PortNotDeclaredError(mac=f"{mac:.80}", instance=row.name)
            after = DeclaredPort(mac=before.mac)
            return _view(row, after), _replace(session, row.uuid, before, after, revision)

        return self._transact(change)

    def list(self, which: PortFilter) -> tuple[PortView, ...]:
        """The interfaces of all guests that are there, and those of others of which something is declared, by name.

        Raises InstanceNotFoundError, InstanceAmbiguousError, SecurityGroupNotFoundError.
        """
        with self._database.reading() as session:
            if which.group is not None:
                security_groups.get(session, which.group)
            query = select(Instance).order_by(Instance.name, Instance.uuid)
            only = None
            if which.instance is not None:
                only = [instances.find_ever(session, which.instance).uuid]
                query = query.where(Instance.uuid.in_(only))
            declared = filtering.declared_ports(session, only)
            rows = session.scalars(
                query.where(Instance.is_present | Instance.uuid.in_(select(Port.instance)))
            ).all()
        return tuple(
            view
            for row in rows
            for view in _views(row, {port.mac: port for port in declared.get(row.uuid, ())})
            if which.group is None or which.group in view.groups
        )

    def _transact(self, work: Callable[[Session], tuple[T, set[str]]]) -> T:
        result, hosts = self._database.transact(work)
        self._sender.refresh_filtering(hosts)
        return result


# ---- what is asked


def _addresses(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, spelt in one way."""
    if len(texts) > ADDRESSES_MAX:
        raise InvalidRequestError(reason=f"An interface can have at most {ADDRESSES_MAX} addresses.")
    return tuple(dict.fromkeys(map(_address, texts)))


def _address(text: str) -> str:
    try:
        address = ip_address("" if "%" in text else text)
    except ValueError:
        raise InvalidRequestError(reason=f"{text:.80} is not an address of an interface.") from None
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        raise InvalidRequestError(reason=f"{text} is IPv4 written as IPv6; write it as {mapped}.")
    if (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or str(address) == "255.255.255.255"
    ):
        raise InvalidRequestError(reason=f"No interface can have the address {address}.")
    return str(address)


def _groups(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) > GROUPS_MAX:
        raise InvalidRequestError(reason=f"An interface can be in at most {GROUPS_MAX} groups.")
    return tuple(sorted(set(names)))


def _mac_of(row: Instance, text: str) -> str:
    """As its host has reported it; raises PortNotFoundError."""
    macs = _macs(row)
    if text.strip().lower() not in macs:
        raise PortNotFoundError(mac=f"{text:.80}", instance=row.name, macs=", ".join(macs) or "none")
    return text.strip().lower()


def _macs(row: Instance) -> tuple[str, ...]:
    return tuple(dict.fromkeys(interface.mac.lower() for interface in instances.facts_of(row).interfaces))


# ---- what is written


def _declared(session: Session, instance: str, mac: str) -> DeclaredPort:
    known = filtering.declared_ports(session, [instance]).get(instance, ())
    return next((port for port in known if port.mac == mac), DeclaredPort(mac=mac))


def _replace(
    session: Session, instance: str, before: DeclaredPort, after: DeclaredPort, revision: int
) -> set[str]:
    """Write it; the hosts of all guests that are concerned: its own, and those that let its groups in."""
    if before == after:
        return set()
    session.execute(delete(PortGroup).where(PortGroup.instance == instance, PortGroup.mac == after.mac))
    port = session.get(Port, (instance, after.mac))
    if port is None:
        port = Port(instance=instance, mac=after.mac)
        session.add(port)
    port.addresses = json.dumps(after.addresses)
    if not (after.addresses or after.groups):
        session.delete(port)
    session.flush()
    session.add_all(
        PortGroup(instance=instance, mac=after.mac, security_group=group) for group in after.groups
    )
    session.flush()
    joined_or_left = set(before.groups) ^ set(after.groups)
    known_differently = set(after.groups) if before.addresses != after.addresses else set()
    concerned = filtering.letting_in(session, joined_or_left | known_differently)
    if before.groups or after.groups:
        concerned.add(instance)
    filtering.touch(session, concerned, revision)
    return filtering.hosts_of(session, concerned)


# ---- what is shown


def _views(row: Instance, declared: dict[str, DeclaredPort]) -> list[PortView]:
    macs = dict.fromkeys((*_macs(row), *declared)) if row.is_present else dict.fromkeys(declared)
    return [_view(row, declared.get(mac, DeclaredPort(mac=mac))) for mac in macs]


def _view(row: Instance, port: DeclaredPort) -> PortView:
    return PortView(
        instance_uuid=row.uuid,
        instance_name=row.name,
        host=row.host,
        mac=port.mac,
        addresses=port.addresses,
        groups=port.groups,
        is_present=row.is_present and port.mac in _macs(row),
    )
