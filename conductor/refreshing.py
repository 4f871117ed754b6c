"""Which hosts are to ask for the rules of their guests, because a guest moves, comes or goes."""

from sqlalchemy.orm import Session

from common.events import Event, EventType
from conductor.db import filtering
from conductor.saga import Saga

_FLIPPING = (EventType.FOUND, EventType.GONE)  # its addresses count for its groups, or do not any more


def hosts_by_migration(session: Session, before: Saga, saga: Saga, *, is_new: bool = False) -> set[str]:
    """A dest that is new to the guest, whose rules may have changed since they were read; then both, when it has moved."""
    hosts = {saga.dest} if saga.is_open and (is_new or saga.dest != before.dest) else set()
    if saga.home != before.home:
        hosts |= {before.home, saga.home}
    return hosts if hosts and filtering.is_known(session, saga.instance) else set()


def hosts_by_sightings(session: Session, events: tuple[Event, ...]) -> set[str]:
    """The hosts of guests that were found or have moved by themselves, and of those that let in one that came or went."""
    there = {event.instance_uuid for event in events if event.event_type is not EventType.GONE}
    flipped = {event.instance_uuid for event in events if event.event_type in _FLIPPING}
    concerned = filtering.letting_in(session, filtering.groups_of(session, flipped))
    if concerned:
        filtering.touch(session, concerned, filtering.tick(session))
    return filtering.hosts_of(session, concerned | there)
