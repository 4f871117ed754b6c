"""Where is a guest, by what the hosts report while nobody moves it?

libvirt wins: a guest that went from A to B by hand is followed as soon as A says that it is gone and B that it has it.
As long as two hosts have it, it stays where it was, in conflict (`db.instances.conflicts`). It goes only when its own
host says so, never because somebody is silent. While a migration is open, only that migration says where it is.
"""

import logging
from collections.abc import Mapping

from sqlalchemy.orm import Session

from common import log
from common.events import Event, EventType
from common.facts import Report
from common.states import PowerState
from conductor.announcements import Sighted, of_sighting
from conductor.db import clock, instances, sightings
from conductor.db.models import Instance, Sighting

_LIVELIEST_FIRST = (PowerState.RUNNING, PowerState.PAUSED)

LOG = logging.getLogger(__name__)


def settle(
    home: str | None, seen_as: Mapping[str, PowerState], *, reporter: str, is_open: bool = False
) -> str | None:
    """The host that the guest belongs to after `reporter` has told about it; None: it is gone. Pure.

    `home` is its host so far (None: an unknown guest), `seen_as` what each host last told, this report included.
    """
    if home is not None and (is_open or home != reporter or home in seen_as):
        return home
    rank = {state: position for position, state in enumerate(_LIVELIEST_FIRST)}
    return min(sorted(seen_as), key=lambda host: rank.get(seen_as[host], len(rank)), default=None)


def take_over_guests(session: Session, report: Report) -> tuple[Event, ...]:
    """Note what the report says of each guest, and settle those that it concerns; what there is to tell about it."""
    told = {guest.uuid: guest for guest in report.guests}
    gone = set(report.gone)
    if report.is_full:
        gone |= sightings.uuids_on(session, report.host) | instances.uuids_on(session, report.host)
    gone -= told.keys()
    concerned = sorted(told.keys() | gone)
    noted = sightings.note(session, report.host, told=told, gone=gone, concerned=concerned)
    known = instances.read(session, concerned)
    now_ms = clock.read_ms(session)
    changes: list[Sighted] = []
    for uuid in concerned:
        with log.fields(instance=uuid):
            seen = noted.seen.get(uuid, {})
            change = _settle_one(session, report.host, uuid, known.get(uuid), seen, now_ms)
            if change is not None and (
                change.event_type is not EventType.CONFLICT or uuid in noted.first_seen
            ):
                changes.append(change)
    return tuple(of_sighting(change, at_ms=now_ms) for change in changes)


def _settle_one(
    session: Session,
    reporter: str,
    uuid: str,
    row: Instance | None,
    seen: Mapping[str, Sighting],
    now_ms: int,
) -> Sighted | None:
    home = row.host if row is not None and row.is_present else None
    is_open = row is not None and row.migration is not None
    seen_as = {host: sighting.power_state for host, sighting in seen.items()}
    host = settle(home, seen_as, reporter=reporter, is_open=is_open)
    if host is None:
        return _lose(row, now_ms) if row is not None and row.is_present else None
    if host not in seen:
        return None  # its own host has told nothing new: another one has, or says that it is not there
    if row is None:
        row = instances.add(session, uuid, seen[host], now_ms)
    elif home != host:
        row.host, row.is_present = host, True
        row.updated_at_ms = now_ms
    if instances.show(row, seen[host]):
        row.updated_at_ms = now_ms
    if home is None:
        return _told(row, EventType.FOUND, f"{row.name} is found on {host}, {row.power_state}")
    if home != host:
        sentence = f"{row.name} has moved from {home} to {host} without us"
        return _told(row, EventType.MOVED, sentence, hosts=(home, host))
    if host != reporter and not is_open and reporter in seen:
        sentence = f"{row.name} is on {host}, and {reporter} reports it too"
        return _told(row, EventType.CONFLICT, sentence, hosts=tuple(sorted(seen.keys() | {host})))
    return None


def _lose(row: Instance, now_ms: int) -> Sighted:
    row.is_present = False
    row.updated_at_ms = now_ms
    return _told(row, EventType.GONE, f"{row.name} is gone from {row.host}")


def _told(row: Instance, event_type: EventType, sentence: str, *, hosts: tuple[str, ...] = ()) -> Sighted:
    level = logging.WARNING if event_type is EventType.CONFLICT else logging.INFO
    LOG.log(level, "%s", sentence)
    return Sighted(
        event_type=event_type, uuid=row.uuid, name=row.name, host=row.host, sentence=sentence, hosts=hosts
    )
