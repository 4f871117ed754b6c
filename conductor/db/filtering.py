"""Declared filtering as rows: what is declared, which guests a change concerns, and which hosts are to know of it."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from sqlalchemy import or_, select, union
from sqlalchemy.orm import Session

from common.states import Phase
from common.transfer import Filtering
from conductor.db import clock
from conductor.db.batches import batches
from conductor.db.firewall_models import (
    CLOCK_ID,
    FilteringClock,
    GuestFilteringRow,
    Port,
    PortGroup,
    SecurityGroupRule,
)
from conductor.db.models import Instance, Migration, Sighting
from conductor.filtering import Compiler, DeclaredPort, GroupRule

# ---- revisions


def tick(session: Session) -> int:
    """The next revision. Called first by all that changes anything here: whoever comes second waits, and sees the first.

    Never behind the clock on the wall: hosts keep the highest revision, and a database that was restored from a backup,
    or made anew, must not be below what they were told before.
    """
    row = session.get_one(FilteringClock, CLOCK_ID, with_for_update=True, populate_existing=True)
    row.revision = max(row.revision + 1, clock.read_ms(session))
    session.flush()
    return row.revision


def touch(session: Session, instances: Collection[str], revision: int) -> None:
    """These guests are concerned by the change of this revision."""
    known = {
        row.instance: row
        for part in batches(sorted(instances))
        for row in session.scalars(select(GuestFilteringRow).where(GuestFilteringRow.instance.in_(part)))
    }
    for instance in instances:
        if instance in known:
            known[instance].revision = revision
        else:
            session.add(GuestFilteringRow(instance=instance, revision=revision))
    session.flush()


def is_known(session: Session, instance: str) -> bool:
    """Whether this guest is filtered, or was."""
    return session.get(GuestFilteringRow, instance) is not None


# ---- whom a change concerns


def in_group(session: Session, group: str) -> set[str]:
    """The guests that have an interface in it: all its rules are theirs."""
    return set(session.scalars(select(PortGroup.instance).where(PortGroup.security_group == group)))


def groups_of(session: Session, instances: Collection[str]) -> set[str]:
    """The groups that any interface of these guests is in."""
    found: set[str] = set()
    for part in batches(sorted(instances)):
        found |= set(session.scalars(select(PortGroup.security_group).where(PortGroup.instance.in_(part))))
    return found


def letting_in(session: Session, groups: AbstractSet[str]) -> set[str]:
    """The guests that have a rule about one of these groups: its members' addresses are theirs."""
    query = (
        select(PortGroup.instance)
        .join(SecurityGroupRule, SecurityGroupRule.security_group == PortGroup.security_group)
        .where(SecurityGroupRule.remote_group.in_(groups))
    )
    return set(session.scalars(query)) if groups else set()


def hosts_of(session: Session, instances: Collection[str]) -> set[str]:
    """The hosts that have these guests, or are to get them. Of those that nobody filters: none."""
    found: set[str] = set()
    for part in batches(sorted(instances)):
        filtered = select(GuestFilteringRow.instance).where(GuestFilteringRow.instance.in_(part))
        where = union(
            select(Instance.host).where(Instance.uuid.in_(filtered), Instance.is_present),
            select(Sighting.host).where(Sighting.instance.in_(filtered)),
            select(Migration.source).where(Migration.instance.in_(filtered), Migration.phase != Phase.DONE),
            select(Migration.dest).where(Migration.instance.in_(filtered), Migration.phase != Phase.DONE),
        )
        found |= set(session.scalars(where))
    return found


def on_host(session: Session, host: str, *, after: str, limit: int) -> Sequence[str]:
    """The guests behind `after` whose rules this host is to know, by uuid.

    Those that are or were there, filtered or not any more, and those that open migrations bring or take.
    """
    declared = select(Port.instance)
    moving = select(Migration.instance).where(
        Migration.phase != Phase.DONE, or_(Migration.source == host, Migration.dest == host)
    )
    query = (
        select(GuestFilteringRow.instance)
        .join(Instance, Instance.uuid == GuestFilteringRow.instance)
        .where(
            GuestFilteringRow.instance > after,
            or_(Instance.is_present, Instance.uuid.in_(declared)),
            or_(
                Instance.host == host,
                Instance.uuid.in_(select(Sighting.instance).where(Sighting.host == host)),
                Instance.uuid.in_(moving),
            ),
        )
        .order_by(GuestFilteringRow.instance)
        .limit(limit)
    )
    return session.scalars(query).all()


# ---- what is declared


def read(session: Session, instances: Collection[str]) -> Mapping[str, Filtering]:
    """The rules of those of these guests that have or had any.

    Their revisions are read first: where somebody commits meanwhile, what is told is newer than its revision says, never
    older.
    """
    revisions = {
        row.instance: row.revision
        for part in batches(sorted(instances))
        for row in session.scalars(select(GuestFilteringRow).where(GuestFilteringRow.instance.in_(part)))
    }
    ports = declared_ports(session, revisions)
    groups = {group for declared in ports.values() for port in declared for group in port.groups}
    rules = rules_of(session, groups)
    named = {rule.remote_group for found in rules.values() for rule in found if rule.remote_group is not None}
    compiler = Compiler(rules, _addresses(session, named))
    return {
        instance: compiler.filtering(revision, ports.get(instance, ()))
        for instance, revision in revisions.items()
    }


def declared_ports(
    session: Session, instances: Collection[str] | None = None
) -> Mapping[str, Sequence[DeclaredPort]]:
    """The interfaces of which something is declared, by guest; of all guests, if none are given."""
    parts: Iterable[Sequence[str] | None] = (None,) if instances is None else batches(sorted(instances))
    found: defaultdict[str, list[DeclaredPort]] = defaultdict(list)
    for part in parts:
        groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        memberships = select(PortGroup).order_by(PortGroup.security_group)
        ports = select(Port).order_by(Port.instance, Port.mac)
        if part is not None:
            memberships = memberships.where(PortGroup.instance.in_(part))
            ports = ports.where(Port.instance.in_(part))
        for membership in session.scalars(memberships):
            groups[membership.instance, membership.mac].append(membership.security_group)
        for row in session.scalars(ports):
            found[row.instance].append(
                DeclaredPort(
                    mac=row.mac,
                    addresses=tuple(json.loads(row.addresses)),
                    groups=tuple(groups[row.instance, row.mac]),
                )
            )
    return found


def rules_of(session: Session, groups: Collection[str]) -> Mapping[str, Sequence[GroupRule]]:
    """By group."""
    found: defaultdict[str, list[GroupRule]] = defaultdict(list)
    for part in batches(sorted(groups)):
        query = select(SecurityGroupRule).where(SecurityGroupRule.security_group.in_(part))
        for row in session.scalars(query):
            found[row.security_group].append(rule_of(row))
    return found


def rule_of(row: SecurityGroupRule) -> GroupRule:
    return GroupRule(
        direction=row.direction,
        family=row.family,
        protocol=row.protocol,
        port_min=row.port_min,
        port_max=row.port_max,
        remote=row.remote,
        remote_group=row.remote_group,
    )


def _addresses(session: Session, groups: Collection[str]) -> Mapping[str, Sequence[str]]:
    """Those of the interfaces in each group. A guest that is gone has none: another one may bear them by now."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for part in batches(sorted(groups)):
        query = (
            select(PortGroup.security_group, Port.addresses)
            .join(Port, (Port.instance == PortGroup.instance) & (Port.mac == PortGroup.mac))
            .join(Instance, Instance.uuid == PortGroup.instance)
            .where(PortGroup.security_group.in_(part), Instance.is_present)
        )
        for group, addresses in session.execute(query):
            found[group] += json.loads(addresses)
    return found
