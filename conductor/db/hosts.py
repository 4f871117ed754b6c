"""Hosts and conductors: who is heard, and what a host has."""

import json
import logging
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.errors import HostNotFoundError
from common.facts import HostFacts
from common.wire import from_primitive, to_primitive
from conductor.capacity import HostStatus
from conductor.db import clock
from conductor.db.claims import claimed_disk_mib, used_mib, used_vcpus
from conductor.db.models import Conductor, Host

MS_PER_S = 1000.0
NOTHING_YET = -1  # smaller than every sequence

LOG = logging.getLogger(__name__)


def read_hosts(session: Session) -> Mapping[str, HostStatus]:
    """All hosts whose agent was ever heard, by name."""
    now_ms = clock.read_ms(session)
    used, vcpus, disk = used_mib(session), used_vcpus(session), claimed_disk_mib(session)
    return {
        row.name: HostStatus(
            name=row.name,
            heard_s=max(0, now_ms - row.heard_at_ms) / MS_PER_S,
            hypervisor_age_s=row.hypervisor_age_s,
            facts=facts_of(row),
            used_mib=used.get(row.name, 0),
            disabled_reason=row.disabled_reason,
            version=row.version,
            used_vcpus=vcpus.get(row.name, 0),
            claimed_disk_mib=disk.get(row.name, 0),
        )
        for row in session.scalars(select(Host).order_by(Host.name))
    }


def facts_of(row: Host) -> HostFacts | None:
    return None if row.facts is None else from_primitive(HostFacts, json.loads(row.facts))


def facts_json(facts: HostFacts) -> str:
    return json.dumps(to_primitive(facts))


def get_or_add(session: Session, name: str, *, start_id: str) -> Host:
    """The host's row; a new one counts as heard now, and has told nothing yet."""
    row = session.get(Host, name)
    if row is None:
        LOG.info("a new host: %s", name)
        row = Host(
            name=name,
            start_id=start_id,
            heartbeat_sequence=NOTHING_YET,
            heard_at_ms=clock.read_ms(session),
            version="",
            report_sequence=NOTHING_YET,
        )
        session.add(row)
    return row


def get_known(session: Session, name: str) -> Host:
    """The row of a host whose agent was ever heard; raises HostNotFoundError."""
    row = session.get(Host, name)
    if row is None:
        raise HostNotFoundError(host=name)
    return row


def disable(session: Session, name: str, *, reason: str | None) -> str | None:
    """Write why no guest is moved there any more, None to let them; the reason before. Raises HostNotFoundError."""
    row = get_known(session, name)
    before, row.disabled_reason = row.disabled_reason, reason
    return before


def hear_conductor(session: Session, name: str) -> None:
    """Note that this conductor lives."""
    session.merge(Conductor(name=name, heard_at_ms=clock.read_ms(session)))
