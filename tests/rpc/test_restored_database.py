"""A copy of the database that is older than what the hosts were told (rule 27), over the bus."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from common import config
from common.states import DestSeen, MigrationStatus, Phase, Result, SourceSeen, Verb
from conductor.restoring import restored
from tests.fakes.cluster import GUEST


@pytest.fixture
def older_copy(cluster, tmp_path):
    """Of the moment when compute2 was told to prepare itself; since then the guest has moved, and the copy is in place."""
    file, copy = tmp_path / "conductor" / "conductor.sqlite", tmp_path / "copy.sqlite"
    cluster.dest.silence(Verb.PRE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.PRE)
    back_up(file, copy)
    cluster.dest.forget_script()
    cluster.sweep(resend_s=0)
    assert cluster.end_of(view).status is MigrationStatus.COMPLETED
    cluster.stop_conductor()
    for remains in file.parent.glob(f"{file.name}-*"):
        remains.unlink()
    back_up(copy, file)
    saw(cluster.source, SourceSeen.ABSENT)
    saw(cluster.dest, DestSeen.RUNNING)
    return view.id


def back_up(origin: Path, to: Path) -> None:
    """As docs/operations/backup.md has it."""
    to.unlink(missing_ok=True)
    with sqlite3.connect(origin) as database, sqlite3.connect(to) as copy:
        database.backup(copy)
        copy.execute("UPDATE conductors SET heard_at_ms = 0")  # it is of long ago


def saw(agent, seen):
    agent.script(Verb.OBSERVE, lambda command: replace(agent.outcome(command, Result.OBSERVED), seen=seen))


def test_the_guest_is_found_where_it_has_moved_since(cluster, older_copy):
    restored(config.CONF)
    cluster.start_conductor()
    cluster.sweep(resend_s=0)

    ended = cluster.end_of(cluster.api.show_migration(older_copy))

    assert ended.status is MigrationStatus.COMPLETED
    assert cluster.api.show_instance(GUEST).host == "compute2"
    assert "obeys the restored database" in cluster.story(older_copy)


def test_without_that_the_hosts_refuse_and_it_is_an_alarm(cluster, older_copy):
    cluster.start_conductor()
    cluster.sweep(resend_s=0)

    view = cluster.watch(
        cluster.api.show_migration(older_copy), lambda view: "commits were lost" in view.waiting_for
    )

    assert "`limosa-conductor restored`" in view.waiting_for
    assert cluster.api.show_instance(GUEST).host == "compute1"
    cluster.stop_conductor()
    with sqlite3.connect(config.CONF.state_path + "/conductor/conductor.sqlite") as database:
        database.execute("UPDATE conductors SET heard_at_ms = 0")
    restored(config.CONF)
    cluster.start_conductor()
    cluster.sweep(resend_s=0)
    assert cluster.end_of(cluster.api.show_migration(older_copy)).status is MigrationStatus.COMPLETED
