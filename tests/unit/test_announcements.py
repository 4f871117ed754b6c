"""What an event says: one for each commit, stable in its shape, and nothing that must not be read."""

import dataclasses
import json
from pathlib import Path

import pytest

from common import events, events_page
from common.checks import STORAGE_NOT_SHARED
from common.events import Event, EventType, Figures, MigrationState
from common.migration import JobStatistics, Progress
from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen
from common.wire import from_primitive, to_primitive
from conductor.announcements import of_migration
from conductor.db.sagas import Written
from conductor.live_migration import start
from conductor.saga import Transition, finish, waiting
from tests.unit import sagas

PAGE = Path(__file__).parents[2] / "docs/events.md"
T0 = 1_700_000_000_000
NOT_SHARED = STORAGE_NOT_SHARED.finding(
    "compute2", disk="vda", path="/srv/images/web1.raw", reason="no such file", directory="/srv/images"
)


def told(before, transition, *, version=5, at_ms=T0 + 2_500, progress=None):
    written = Written(version=version, at_ms=at_ms, created_at_ms=T0)
    return of_migration(before, transition, written, progress=progress)


def progress_of(row, **statistics):
    return Progress(
        instance=row.instance,
        migration=row.migration,
        epoch=row.epoch,
        host=row.source,
        sequence=1,
        statistics=JobStatistics(**statistics),
    )


# ---- the page and the shape


def test_the_page_is_made_from_the_code():
    assert PAGE.read_text() == events_page.render(), "run: python -m common.events_page > docs/events.md"


def test_within_schema_version_1_no_field_goes():
    """Whoever reads events relies on these; adding one is no harm, and then it belongs here, too."""
    assert events.SCHEMA_VERSION == 1
    assert [field.name for field in dataclasses.fields(Event)] == [
        "schema_version", "event_type", "at", "instance_uuid", "instance_name", "instance_host", "hosts",
        "sentence", "migration", "conductor", "stream", "sequence",
    ]  # fmt: skip
    assert [field.name for field in dataclasses.fields(MigrationState)] == [
        "id", "version", "source", "dest", "phase", "status", "epoch", "host", "is_abort_requested",
        "needs_operator", "waiting_for", "reason", "findings", "figures",
    ]  # fmt: skip
    assert [field.name for field in dataclasses.fields(Figures)] == [
        "seconds", "downtime_ms", "sent_bytes", "passes", "network_gap_ms", "network_verified",
    ]  # fmt: skip


def test_an_event_survives_the_wire_and_a_newer_conductor():
    row = sagas.saga(Phase.POST_SOURCE, home=sagas.DEST)
    (event,) = told(row, finish(row, MigrationStatus.COMPLETED))
    data = json.loads(json.dumps(to_primitive(event)))

    assert from_primitive(Event, data) == event

    data |= {"event_type": "migration.of-tomorrow", "colour": "blue"}
    data["migration"]["phase"] = "of-tomorrow"
    newer = from_primitive(Event, data, ignore_unknown=True)
    assert (newer.event_type, newer.migration.phase) == ("migration.of-tomorrow", "of-tomorrow")


def test_every_phase_and_every_ending_has_a_type():
    words = {event_type.value.removeprefix("migration.") for event_type in EventType}

    assert {phase.value for phase in Phase} - {Phase.DONE} <= words
    assert {status.value for status in MigrationStatus if status.is_final} <= words


# ---- which event a change is


def test_the_first_change_is_the_acceptance():
    row = sagas.saga(Phase.CHECK_DEST, status=MigrationStatus.ACCEPTED, epoch=0, instance_epoch=0)

    (event,) = told(row, start(row), version=1, at_ms=T0)

    assert (event.event_type, event.at) == ("migration.accepted", "2023-11-14T22:13:20.000+00:00")
    assert event.sentence == "accepted: guest is to move from compute1 to compute2"
    assert (event.migration.version, event.migration.epoch, event.migration.host) == (1, 1, "compute2")
    assert event.migration.figures is None


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.DONE])
def test_a_new_phase_is_told_by_its_name(phase):
    row = sagas.saga(Phase.OBSERVE_DEST if phase is not Phase.OBSERVE_DEST else Phase.OBSERVE_SOURCE)
    moved = dataclasses.replace(row, phase=phase, epoch=row.epoch + 1)

    (event,) = told(row, Transition(saga=moved))

    assert event.event_type == f"migration.{phase.value}"
    assert event.migration.phase == phase.value


def test_the_next_candidate_is_told_though_the_phase_has_the_same_name():
    row = sagas.saga(Phase.CHECK_DEST)
    next_one = dataclasses.replace(row, dest="compute3", epoch=row.epoch + 1)

    (event,) = told(row, Transition(saga=next_one))

    assert (event.event_type, event.migration.dest) == ("migration.check-dest", "compute3")


def test_what_is_learnt_while_the_phase_stays_is_noted():
    row = sagas.saga(Phase.POST_DEST)

    (event,) = told(row, waiting(row, "compute2 has not answered for 30 s", needs_operator=True))

    assert event.event_type == "migration.noted"
    assert (event.migration.waiting_for, event.migration.needs_operator) == (
        "compute2 has not answered for 30 s", True,
    )  # fmt: skip


@pytest.mark.parametrize("status", [status for status in MigrationStatus if status.is_final])
def test_an_end_is_told_by_its_status_with_figures(status):
    row = sagas.saga(Phase.POST_SOURCE, downtime_ms=87)
    progress = progress_of(row, memory_processed=100 * 2**20, iteration=3)

    (event,) = told(row, finish(row, status, "compute1 is clean"), progress=progress)

    assert event.event_type == f"migration.{status.value}"
    assert event.sentence == f"compute1 is clean; {status.value}"
    assert event.migration.figures == Figures(seconds=2.5, downtime_ms=87, sent_bytes=100 * 2**20, passes=3)


def test_a_migration_that_ends_before_anything_was_sent_has_no_such_figures():
    row = sagas.saga(Phase.CHECK_DEST)

    (event,) = told(row, finish(row, MigrationStatus.FAILED))

    assert event.migration.figures == Figures(seconds=2.5, downtime_ms=None, sent_bytes=None, passes=None)


def test_refusals_are_told_by_their_codes():
    row = sagas.saga(Phase.CHECK_DEST)
    transition = sagas.answered(row, Result.REFUSED, findings=(NOT_SHARED,))

    (event,) = told(row, transition)

    assert event.migration.findings == ("storage_not_shared",)


def test_the_proof_on_the_dest_moves_the_guest():
    row = sagas.saga(Phase.POST_DEST)
    transition = sagas.answered(row, Result.RUNNING)

    step, moved = told(row, transition)

    assert (step.event_type, moved.event_type) == ("migration.post-source", "instance.moved")
    assert (moved.instance_host, moved.hosts) == ("compute2", ("compute1", "compute2"))
    assert moved.migration == step.migration


def test_a_judgement_for_the_source_moves_no_guest():
    row = sagas.saga(Phase.OBSERVE_DEST, source_seen=SourceSeen.RUNNING)
    transition = sagas.answered(row, Result.OBSERVED, DestSeen.ABSENT)

    assert [event.event_type for event in told(row, transition)] == ["migration.rollback"]


def test_a_password_in_an_error_of_libvirt_is_not_told():
    row = sagas.saga(Phase.LIVE)
    detail = "cannot open qemu+tcp://admin:hunter2@compute2/system: <graphics passwd='hunter3'/>"
    transition = sagas.answered(row, Result.ERROR, detail=detail)

    text = json.dumps(to_primitive(told(row, transition)[0]))

    assert "cannot open" in text
    assert "hunter" not in text
