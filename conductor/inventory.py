"""What the agents tell on their own account: heartbeats, and reports of hosts and guests (design, section 5)."""

import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy.orm import Session

from common import log
from common.events import Event
from common.facts import Heartbeat, Report
from conductor import refreshing, settling
from conductor.announcements import Announcer
from conductor.db import clock, hosts
from conductor.db.engine import Database
from conductor.sender import Sender

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What a report has led to. A full one is needed beside it where changes alone do not say what was before them."""

    events: tuple[Event, ...] = ()
    needs_full: bool = False
    to_refresh: AbstractSet[str] = frozenset()  # hosts whose guests have other rules now, or other guests
    has_new_vtep: bool = False


class Inventory:
    """Keeps hosts, sightings and idle instances true to what is reported."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        announcer: Announcer,
        *,
        on_new_vtep: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_new_vtep`: a host's tunnels end elsewhere now; the others are to hear of it."""
        self._database = database
        self._sender = sender
        self._announcer = announcer
        self._on_new_vtep = on_new_vtep

    def heartbeat(self, heartbeat: Heartbeat) -> None:
        """Note that the agent lives. One that was started anew is asked for a report, until it has made one."""
        if self._database.transact(lambda session: _hear(session, heartbeat)):
            self._sender.request_report(heartbeat.host)

    def report(self, report: Report) -> None:
        """Take over what a host tells, unless something newer of it is known."""
        with log.fields(host=report.host):
            taken = self._database.transact(lambda session: _take_over(session, report))
        self._announcer.announce(taken.events)
        self._sender.refresh_filtering(taken.to_refresh)
        if taken.has_new_vtep:
            self._on_new_vtep()
        if taken.needs_full:
            self._sender.request_report(report.host)


def _hear(session: Session, heartbeat: Heartbeat) -> bool:
    """Whether this process of the agent has not made a report yet."""
    host = hosts.get_or_add(session, heartbeat.host, start_id=heartbeat.start_id)
    if host.start_id == heartbeat.start_id and host.heartbeat_sequence >= heartbeat.sequence:
        return False
    if host.start_id != heartbeat.start_id == host.past_start_id:
        return False  # of a process that has been followed by another: late, or sent again by somebody
    host.start_id = heartbeat.start_id
    host.heartbeat_sequence = heartbeat.sequence
    host.heard_at_ms = clock.read_ms(session)
    host.hypervisor_age_s = heartbeat.hypervisor_age_s
    host.version = heartbeat.version
    return host.report_start_id != heartbeat.start_id


def _take_over(session: Session, report: Report) -> _Taken:
    host = hosts.get_or_add(session, report.host, start_id=report.start_id)
    if report.start_id == host.past_start_id:
        return _Taken()  # of a process that has been followed by another
    is_first = report.start_id != host.report_start_id
    if not is_first and report.sequence <= host.report_sequence:
        return _Taken()
    if is_first:
        host.past_start_id, host.report_start_id = host.report_start_id, report.start_id
    host.report_sequence = report.sequence
    has_new_vtep = False
    if report.facts is not None:
        vtep_address = report.facts.vtep_address or None
        has_new_vtep, host.vtep_address = vtep_address != host.vtep_address, vtep_address
        host.facts = hosts.facts_json(report.facts)
    events = settling.take_over_guests(session, report)
    return _Taken(
        events=events,
        needs_full=is_first and not report.is_full,
        to_refresh=refreshing.hosts_by_sightings(session, events) if events else frozenset(),
        has_new_vtep=has_new_vtep,
    )
