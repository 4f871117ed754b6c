"""Accept a live migration: tell all that speaks against it at once, or claim the instance and send the first command."""

import hashlib
import uuid
from collections.abc import Mapping

from sqlalchemy.orm import Session

from common.checks import Finding, refusing
from common.context import Context
from common.errors import RefusedError
from common.migration import CheckDestArguments
from common.states import MigrationStatus, Phase
from common.views import LiveMigrationRequest
from conductor import claiming, live_migration, refreshing
from conductor.capacity import HostStatus, Limits
from conductor.checking import Checking, dest_arguments, refuse_bad_names
from conductor.db import hosts, instances, sagas
from conductor.db.engine import Database
from conductor.db.models import Instance
from conductor.declarations import declarations_of
from conductor.driver import Driven, Driver, chapter
from conductor.prechecks import GuestStatus, check_guest, check_named_dest
from conductor.saga import Saga
from conductor.scheduler.candidates import choose


class Acceptance:
    """Step 1 of a live migration: one transaction, then the first cast."""

    def __init__(
        self, database: Database, driver: Driver, checking: Checking, *, limits: Limits, retries: int
    ) -> None:
        self._database = database
        self._driver = driver
        self._checking = checking
        self._limits = limits
        self._retries = retries

    def accept(self, request: LiveMigrationRequest, *, asked: Context | None = None) -> str:
        """The id of the new migration; of the one that this request has begun already, if it is a repeated one.

        Raises InvalidRequestError, InstanceNotFoundError, InstanceAmbiguousError, or RefusedError with every finding.
        """
        request_id = None if asked is None else _key_of(request, asked)
        refuse_bad_names(request.instance, *(() if request.dest is None else (request.dest,)))
        try:
            begun = self._database.transact(lambda session: self._begin_once(session, request, request_id))
        except RefusedError as refused:
            raise self._with_agents(request, refused) from None
        if isinstance(begun, str):
            return begun
        self._driver.tell(begun)
        return begun.before.migration

    def _with_agents(self, request: LiveMigrationRequest, refused: RefusedError) -> RefusedError:
        """The refusal with what the agents find besides: who mends one reason should not meet the next one then."""
        further = self._checking.more(request, refused.findings)
        found = refused.findings + further
        return RefusedError(instance=refused.fields["instance"], count=len(refusing(found)), findings=found)

    def _begin_once(
        self, session: Session, request: LiveMigrationRequest, request_id: str | None
    ) -> Driven | str:
        """Whoever asks twice because the answer was lost gets the migration that the first request has begun."""
        begun = None if request_id is None else sagas.begun_by(session, request_id)
        return self._begin(session, request, request_id) if begun is None else begun

    def _begin(self, session: Session, request: LiveMigrationRequest, request_id: str | None) -> Driven:
        row = instances.find(session, request.instance)
        known = hosts.read_hosts(session)
        candidates = self._candidates(known, instances.status(session, row), request.dest)
        facts = instances.facts_of(row)
        guest = dest_arguments(
            facts,
            row.host,
            known[row.host],
            limits=self._limits,
            declared=declarations_of(session, facts, storage=request.storage),
        )
        saga = _new_saga(row, candidates, guest)
        transition = live_migration.start(saga)
        # Of two requests for one instance that were checked at the same time, the second fails here, is done again
        # and refused as busy.
        instances.take(session, saga.instance, host=saga.source, migration=saga.migration)
        written = sagas.create(
            session,
            transition.saga,
            requested_dest=request.dest,
            request_id=request_id,
            epoch_before=saga.instance_epoch,
            chapter=chapter(saga, transition),
        )
        for host in (saga.source, saga.dest):
            claiming.claim(session, saga, host)
        to_refresh = refreshing.hosts_by_migration(session, saga, transition.saga, is_new=True)
        return Driven(before=saga, transition=transition, written=written, to_refresh=to_refresh)

    def _candidates(
        self, known: Mapping[str, HostStatus], guest: GuestStatus, dest: str | None
    ) -> tuple[str, ...]:
        """The hosts to try in turn; raises RefusedError with all that speaks against the guest and each host."""
        found = check_guest(guest, known.get(guest.host), limits=self._limits)
        if dest is not None:
            found += check_named_dest(guest, dest, known, limits=self._limits)
            _refuse(guest, found)
            return (dest,)
        choice = choose(guest, known.values(), limits=self._limits, retries=self._retries)
        _refuse(guest, found + choice.findings)
        return choice.candidates


def _key_of(request: LiveMigrationRequest, asked: Context) -> str:
    """By what a migration remembers its request: another's, or another one under the same id, has not begun it."""
    return hashlib.sha256(f"{asked.signer}\n{asked.request_id}\n{request}".encode()).hexdigest()


def _refuse(guest: GuestStatus, found: tuple[Finding, ...]) -> None:
    against = refusing(found)
    if against:
        raise RefusedError(instance=guest.name, count=len(against), findings=found)


def _new_saga(row: Instance, candidates: tuple[str, ...], guest: CheckDestArguments) -> Saga:
    dest, *further = candidates
    return Saga(
        migration=str(uuid.uuid4()),
        instance=row.uuid,
        name=row.name,
        source=row.host,
        dest=dest,
        home=row.host,
        guest=guest,
        phase=Phase.CHECK_DEST,
        status=MigrationStatus.ACCEPTED,
        instance_epoch=row.epoch,
        epoch=row.epoch,
        candidates=tuple(further),
    )
