"""An older copy of the database is put in place (rule 27): fence both hosts, then judge; nothing old is obeyed."""

import sqlite3
from dataclasses import replace

import pytest

from common import config
from common.migration import CheckDestArguments
from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen
from conductor import live_migration, management
from conductor.db import instances, sagas
from conductor.db.engine import Database
from conductor.db.instances import GENERATION_EPOCHS
from conductor.db.models import Conductor, Instance
from conductor.db.sagas import Chapter
from conductor.saga import DeclaredDown, Restored, Saga, advance
from conductor.settling import take_over_guests
from tests.fakes.agent import guest_facts, report_of
from tests.unit.sagas import DEST, EPOCH, SOURCE, answered, saga

GUEST = "1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
OTHER = "2f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
OPEN_PHASES = [phase for phase in Phase if phase is not Phase.DONE]


def restored(row: Saga) -> Saga:
    return advance(row, Restored(), plan=live_migration.PLAN).saga


# ---- the engine


@pytest.mark.parametrize("phase", OPEN_PHASES)
@pytest.mark.parametrize("source_seen", [SourceSeen.RUNNING, SourceSeen.ABSENT, SourceSeen.RUNNING_JOB])
def test_both_hosts_accept_a_new_epoch_before_anything_is_judged(
    phase: Phase, source_seen: SourceSeen
) -> None:
    row = restored(saga(phase))
    assert (row.phase, row.epoch) == (Phase.OBSERVE_SOURCE, EPOCH + 1)

    row = answered(row, Result.OBSERVED, source_seen).saga
    assert (row.phase, row.epoch, row.source_seen) == (Phase.OBSERVE_DEST, EPOCH + 2, None)

    row = answered(row, Result.OBSERVED, DestSeen.ABSENT).saga
    assert (row.phase, row.epoch, row.is_unfenced) == (Phase.OBSERVE_SOURCE, EPOCH + 3, False)


@pytest.mark.parametrize("phase", [Phase.CHECK_DEST, Phase.PRE, Phase.LIVE, Phase.POST_DEST])
def test_what_the_copy_does_not_know_is_seen_on_the_hosts(phase: Phase) -> None:
    row = fenced(restored(saga(phase)))
    gone = answered(row, Result.OBSERVED, SourceSeen.ABSENT).saga
    assert answered(gone, Result.OBSERVED, DestSeen.RUNNING).saga.phase is Phase.POST_DEST


def test_a_preparation_that_the_copy_does_not_know_is_undone() -> None:
    row = fenced(restored(saga(Phase.CHECK_DEST, is_prepared=False)))
    stayed = answered(row, Result.OBSERVED, SourceSeen.RUNNING).saga
    undoing = answered(stayed, Result.OBSERVED, DestSeen.ABSENT).saga
    assert (undoing.phase, undoing.is_prepared, undoing.ends_in) == (
        Phase.ROLLBACK,
        True,
        MigrationStatus.FAILED,
    )


def test_an_abort_that_is_owed_is_told_when_both_are_fenced() -> None:
    row = restored(saga(Phase.OBSERVE_SOURCE, is_abort_pending=True))
    assert row.phase is Phase.OBSERVE_SOURCE
    assert fenced(row).phase is Phase.ABORT_SOURCE


@pytest.mark.parametrize("silent", [SOURCE, DEST])
def test_a_host_that_does_not_answer_is_waited_for(silent: str) -> None:
    row = restored(saga(Phase.LIVE))
    seen: SourceSeen | DestSeen = SourceSeen.UNREACHABLE
    if silent == DEST:
        row = answered(row, Result.OBSERVED, SourceSeen.RUNNING).saga
        seen = DestSeen.UNREACHABLE
    transition = answered(row, Result.OBSERVED, seen)
    assert not transition.has_command(row)
    assert silent in transition.saga.waiting_for


@pytest.mark.parametrize("down", [SOURCE, DEST])
def test_a_host_that_is_declared_down_needs_no_fence(down: str) -> None:
    row = restored(saga(Phase.LIVE))
    if down == DEST:
        row = answered(row, Result.OBSERVED, SourceSeen.RUNNING).saga
    after = advance(row, DeclaredDown(host=down), plan=live_migration.PLAN).saga
    assert not after.is_unfenced
    assert after.phase is (Phase.OBSERVE_DEST if down == SOURCE else Phase.OBSERVE_SOURCE)


def test_an_alarm_of_the_copy_is_looked_at_again() -> None:
    row = restored(saga(Phase.ALARM, status=MigrationStatus.ERROR, needs_operator=True))
    assert (row.status, row.needs_operator) == (MigrationStatus.RUNNING, False)


def fenced(row: Saga) -> Saga:
    """After both hosts have answered: a new question to the source is current."""
    row = answered(row, Result.OBSERVED, SourceSeen.RUNNING).saga
    return answered(row, Result.OBSERVED, DestSeen.ABSENT).saga


# ---- the command


class Copy:
    """A database with one open migration and an idle guest, and the command."""

    def __init__(self, directory, capsys):
        self.url = f"sqlite:///{directory}/limosa.sqlite"
        self._file = directory / "limosa.conf"
        self._file.write_text(f"[DEFAULT]\nstate_path = {directory}\n[database]\nconnection = {self.url}\n")
        self._capsys = capsys

    def run(self) -> tuple[int, str]:
        code = management.main(["restored", "--config-file", str(self._file)])
        written = self._capsys.readouterr()
        return code, written.out + written.err

    def read(self, what):
        database = Database(self.url)
        try:
            with database.reading() as session:
                return what(session)
        finally:
            database.close()

    def change(self, how):
        database = Database(self.url)
        try:
            database.transact(how)
        finally:
            database.close()


@pytest.fixture
def copy(tmp_path, capsys):
    copy = Copy(tmp_path, capsys)
    copy.change(begin)
    yield copy
    config.CONF.reset()


def begin(session):
    take_over_guests(session, report_of("compute1", guest_facts(GUEST), guest_facts(OTHER)))
    guest = CheckDestArguments(name="web1", memory_mib=96, vcpus=1, machine="pc", disks=())
    row = replace(saga(Phase.CHECK_DEST), instance=GUEST, guest=guest, epoch=0, instance_epoch=0)
    instances.take(session, GUEST, host="compute1", migration="m1")
    started = live_migration.start(row).saga
    telling = Chapter(sentences=("something happens",), host="compute2")
    sagas.create(session, started, requested_dest=None, epoch_before=0, chapter=telling)


def test_every_epoch_jumps_and_open_migrations_are_judged_anew(copy):
    before = copy.read(lambda session: sagas.load(session, "m1").saga)

    code, text = copy.run()

    assert code == 0
    assert "the epochs of 2 instances were raised" in text
    assert "Migration m1 was open" in text
    after = copy.read(lambda session: sagas.load(session, "m1").saga)
    assert (after.phase, after.epoch) == (Phase.OBSERVE_SOURCE, before.epoch + GENERATION_EPOCHS + 1)
    epochs = copy.read(lambda session: {row.uuid: row.epoch for row in session.query(Instance)})
    assert epochs == {GUEST: after.epoch, OTHER: GENERATION_EPOCHS}


def test_a_guest_that_the_copy_does_not_know_begins_in_the_same_generation(copy):
    copy.run()
    new = GUEST.replace("1", "3")
    copy.change(lambda session: take_over_guests(session, report_of("compute2", guest_facts(new))))
    assert copy.read(lambda session: session.get(Instance, new).epoch) == GENERATION_EPOCHS


def test_beside_a_conductor_nothing_is_changed(copy):
    copy.change(lambda session: session.add(Conductor(name="controller2", heard_at_ms=2**60)))
    code, text = copy.run()
    assert code == 2
    assert "controller2" in text
    assert "Stop every conductor" in text
    assert copy.read(lambda session: session.get(Instance, OTHER).epoch) == 0


def test_a_database_in_use_is_left_alone(copy):
    conductor = Database(copy.url)
    try:
        code, text = copy.run()
    finally:
        conductor.close()
    assert code == 2
    assert "another conductor uses" in text


def test_a_mistyped_path_makes_no_database(copy, tmp_path):
    (tmp_path / "limosa.sqlite").unlink()
    code, text = copy.run()
    assert code == 2
    assert "there is no" in text
    assert not (tmp_path / "limosa.sqlite").exists()


def test_it_is_in_the_audit(copy, tmp_path):
    copy.run()
    with sqlite3.connect(tmp_path / "limosa.sqlite") as connection:
        [line] = connection.execute("SELECT signer, target FROM audit WHERE method = 'restored'").fetchall()
    assert line == ("limosa-conductor", "2 instances, 1 open migrations")
