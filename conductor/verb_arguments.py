"""What each verb of a migration is told, from its row. Pure; the plan says which verb it is."""

from common.migration import (
    Arguments,
    CheckSourceArguments,
    DestinationFacts,
    DomainChanges,
    GuestTraits,
    LiveArguments,
    ObserveArguments,
    PostDestArguments,
    PostSourceArguments,
    PreArguments,
    RollbackArguments,
)
from common.states import MigrationStatus, Verb
from common.transfer import TransferPlan
from conductor.saga import Saga


def arguments_of(saga: Saga, verb: Verb, *, on_dest: bool) -> Arguments | None:
    """None: the verb needs no more than the names of instance and migration."""
    match verb:
        case Verb.CHECK_DEST:
            return saga.guest
        case Verb.CHECK_SOURCE:
            return CheckSourceArguments(dest_facts=_dest_facts(saga), declared=saga.guest.declared)
        case Verb.PRE:
            return PreArguments(
                name=saga.name,
                plan=_plan(saga),
                declared=saga.guest.declared,
                source_address=saga.guest.source_address or saga.source,
            )
        case Verb.LIVE | Verb.WATCH | Verb.RECOVER:
            return LiveArguments(
                dest_facts=_dest_facts(saga),
                changes=saga.changes or DomainChanges(),
                plan=saga.plan,
                declared=saga.guest.declared,
            )
        case Verb.OBSERVE:
            return ObserveArguments(is_source=not on_dest)
        case Verb.ROLLBACK:
            keep = saga.is_postcopy_seen or saga.ends_in is MigrationStatus.ERROR
            return RollbackArguments(name=saga.name, is_prepared=saga.is_prepared, keep_disks=keep)
        case Verb.POST_DEST:
            return PostDestArguments(
                name=saga.name, traits=_traits(saga), plan=_plan(saga), declared=saga.guest.declared
            )
        case Verb.POST_SOURCE:
            return PostSourceArguments(
                name=saga.name,
                dest_facts=_dest_facts(saga),
                plan=_plan(saga),
                declared=saga.guest.declared,
            )
        case _:
            return None


def _dest_facts(saga: Saga) -> DestinationFacts:
    return saga.dest_facts or DestinationFacts(connect_address=saga.dest)


def _plan(saga: Saga) -> TransferPlan:
    return saga.plan or TransferPlan()


def _traits(saga: Saga) -> GuestTraits:
    return saga.traits or GuestTraits(is_persistent=True, has_autostart=False, is_paused=False)
