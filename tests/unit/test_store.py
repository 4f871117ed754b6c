"""The database: its schema, its locks, compare and swap, claims."""

import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from common.concurrency import spawn
from common.errors import ConfigurationError, ConflictError, InstanceAmbiguousError, InstanceNotFoundError
from common.migration import CheckDestArguments
from common.states import MigrationStatus, Phase, PowerState
from conductor import live_migration
from conductor.db import claims, clock, instances, sagas, schema
from conductor.db.engine import Database
from conductor.db.models import Base, Instance, Journal, Sighting
from conductor.db.sagas import Chapter
from conductor.saga import Saga, finish
from conductor.settling import take_over_guests
from tests.fakes.agent import guest_facts, report_of

GUEST = "1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
OTHER = "2f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
TELLING = Chapter(sentences=("something happens",), host="compute2")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/limosa.sqlite"


@pytest.fixture
def database(url):
    database = Database(url, max_retries=2)
    yield database
    database.close()


@pytest.fixture
def guest(database):
    database.transact(lambda session: take_over_guests(session, report_of("compute1", guest_facts(GUEST))))
    return GUEST


def begun(session, *, epoch=0):
    """A migration of the guest that has just been accepted."""
    saga = Saga(
        migration="m1",
        instance=GUEST,
        name="web1",
        source="compute1",
        dest="compute2",
        home="compute1",
        guest=CheckDestArguments(name="web1", memory_mib=96, vcpus=1, machine="pc", disks=()),
        phase=Phase.CHECK_DEST,
        status=MigrationStatus.ACCEPTED,
        instance_epoch=epoch,
        epoch=epoch,
    )
    started = live_migration.start(saga).saga
    instances.take(session, GUEST, host="compute1", migration="m1")
    sagas.create(session, started, requested_dest=None, epoch_before=epoch, chapter=TELLING)
    return started


# ---- the engine


def test_the_revisions_make_what_the_models_say(database):
    with database.reading() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_newest_revision_by_its_file_is_the_head_by_alembic():
    config = Config()
    config.set_main_option("script_location", str(schema.ALEMBIC_DIR))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.newest_revision()


def test_a_database_that_is_up_to_date_needs_no_alembic(url, database):
    database.close()
    opening = "import sys; from conductor.db.engine import Database; Database(sys.argv[1]).close()"
    seen = subprocess.run(
        [sys.executable, "-c", f"{opening}; print('alembic' in sys.modules)", url],
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout == "False\n"


def test_a_database_of_a_newer_version_is_not_taken_for_a_current_one(database):
    with database.reading() as session:
        engine = session.get_bind()
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        session.commit()
    assert not schema.is_current(engine)
    with pytest.raises(ConfigurationError, match=r"cannot be brought up to date: .*9999"):
        schema.upgrade(engine)


def test_a_database_is_opened_again_with_all_that_was_in_it(url):
    first = Database(url)
    first.transact(lambda session: take_over_guests(session, report_of("compute1", guest_facts(GUEST))))
    first.close()

    second = Database(url)
    with second.reading() as session:
        assert instances.find(session, "web1").uuid == GUEST
    second.close()


def test_sqlite_keeps_every_commit_on_disk(database):
    with database.reading() as session:
        pragmas = [
            session.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")
        ]
    assert pragmas == ["wal", 2]


def test_a_second_conductor_on_the_same_file_is_refused(url, database):
    with pytest.raises(ConfigurationError, match="another conductor"):
        Database(url)


@pytest.mark.parametrize("connection", ["sqlite://", "nonsense", "sqlite:////proc/nowhere/limosa.sqlite"])
def test_a_connection_that_cannot_work_names_its_option(connection):
    with pytest.raises(ConfigurationError, match=r"\[database\]connection"):
        Database(connection)


@pytest.mark.parametrize(
    ("connection", "reason"),
    [
        ("moonbase://host/limosa", "moonbase"),
        ("sqlite+moonbase:////tmp/limosa.sqlite", "moonbase"),
        ("mysql+pymysql://limosa:s3cret@host:port/limosa", "port is no number"),
    ],
)
def test_a_connection_that_cannot_work_tells_why_and_no_password(connection, reason):
    with pytest.raises(ConfigurationError, match=reason) as caught:
        Database(connection)
    assert "s3cret" not in str(caught.value)


def test_a_driver_that_is_missing_is_named_with_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymysql", None)  # as if it were not installed
    with pytest.raises(ConfigurationError, match=r"pymysql is not installed; limosa\[mysql\]"):
        Database("mysql+pymysql://limosa@host/limosa")


def test_a_directory_that_is_missing_is_not_made(tmp_path):
    with pytest.raises(ConfigurationError, match=f"{tmp_path}/limsoa does not exist"):
        Database(f"sqlite:///{tmp_path}/limsoa/limosa.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_something_else_is_no_database_and_is_left_alone(tmp_path):
    path = tmp_path / "limosa.conf"
    path.write_text("[DEFAULT]\nhost = compute1\n" * 100)
    with pytest.raises(ConfigurationError, match="file is not a database"):
        Database(f"sqlite:///{path}")
    assert path.read_text().startswith("[DEFAULT]")


def test_a_path_that_cannot_be_written_is_a_configuration_error(tmp_path):
    (tmp_path / "limosa.sqlite").mkdir()
    with pytest.raises(ConfigurationError, match="unable to open database file"):
        Database(f"sqlite:///{tmp_path}/limosa.sqlite")


def test_an_exception_undoes_its_transaction(database, guest):
    def fail(session):
        session.get_one(Instance, guest).name = "other"
        session.flush()
        raise RuntimeError("half done")

    with pytest.raises(RuntimeError):
        database.transact(fail)

    with database.reading() as session:
        assert session.get_one(Instance, guest).name == "web1"


def test_a_collision_is_tried_again_and_then_told(database):
    tries = []

    def collide(_session):
        tries.append(1)
        raise ConflictError(what="a row")

    with pytest.raises(ConflictError):
        database.transact(collide)
    assert len(tries) == 3  # once, and max_retries


def test_writers_wait_for_each_other(database, guest):
    has_begun, may_end = threading.Event(), threading.Event()
    order = []

    def slow(_session):
        has_begun.set()
        may_end.wait(5)
        order.append("slow")

    first = spawn(database.transact, slow)
    assert has_begun.wait(5)
    second = spawn(database.transact, lambda _session: order.append("quick"))
    may_end.set()
    first.wait(5)
    second.wait(5)

    assert order == ["slow", "quick"]


def test_the_databases_clock_counts_milliseconds(database):
    with database.reading() as session:
        first = clock.read_ms(session)
        second = clock.read_ms(session)
    assert 1_700_000_000_000 < first <= second < first + 60_000


# ---- instances


def test_an_instance_is_found_by_name_and_by_uuid(database, guest):
    with database.reading() as session:
        assert instances.find(session, "web1").uuid == guest
        assert instances.find(session, guest.upper()).uuid == guest
        with pytest.raises(InstanceNotFoundError):
            instances.find(session, "web2")


def test_an_ambiguous_name_is_told_with_its_candidates(database, guest):
    database.transact(lambda session: take_over_guests(session, report_of("compute2", guest_facts(OTHER))))

    with database.reading() as session, pytest.raises(InstanceAmbiguousError) as ambiguous:
        instances.find(session, "web1")

    assert GUEST in str(ambiguous.value)
    assert OTHER in str(ambiguous.value)


def test_only_one_migration_takes_an_instance(database, guest):
    database.transact(lambda session: instances.take(session, guest, host="compute1", migration="m1"))

    with pytest.raises(ConflictError):
        database.transact(lambda session: instances.take(session, guest, host="compute1", migration="m2"))


def test_an_instance_that_has_moved_meanwhile_is_not_taken(database, guest):
    with pytest.raises(ConflictError):
        database.transact(lambda session: instances.take(session, guest, host="compute2", migration="m1"))


# ---- sagas


def test_a_saga_is_read_as_it_was_written(database, guest):
    started = database.transact(begun)

    with database.reading() as session:
        loaded = sagas.load(session, "m1")
        instance = session.get_one(Instance, guest)

    assert loaded.saga == started
    assert loaded.version == 1
    assert (instance.epoch, instance.migration) == (1, "m1")


def test_of_two_conductors_that_advance_a_row_one_fails(database, guest):
    database.transact(begun)
    with database.reading() as session:
        loaded = sagas.load(session, "m1")
    told = replace(loaded.saga, waiting_for="the first")

    database.transact(lambda session: sagas.save(session, loaded, told, chapter=TELLING))

    with pytest.raises(ConflictError):
        database.transact(lambda session: sagas.save(session, loaded, told, chapter=TELLING))
    with database.reading() as session:
        assert len(session.scalars(select(Journal)).all()) == 2  # of the loser nothing is told


def test_the_instances_epoch_is_compared_too(database, guest):
    database.transact(begun)
    with database.reading() as session:
        loaded = sagas.load(session, "m1")

    def jump(session):
        session.get_one(Instance, guest).epoch = 2**20

    database.transact(jump)

    with pytest.raises(ConflictError):
        database.transact(lambda session: sagas.save(session, loaded, loaded.saga, chapter=TELLING))
    with database.reading() as session:
        assert sagas.load(session, "m1").saga.instance_epoch == 2**20


def test_the_end_of_a_migration_frees_its_instance(database, guest):
    database.transact(begun)
    with database.reading() as session:
        loaded = sagas.load(session, "m1")
    done = finish(replace(loaded.saga, home="compute2"), MigrationStatus.COMPLETED).saga

    database.transact(lambda session: sagas.save(session, loaded, done, chapter=TELLING))

    with database.reading() as session:
        instance = session.get_one(Instance, guest)
        assert (instance.task_state, instance.migration, instance.host) == (None, None, "compute2")
        assert instance.epoch == 1  # never reset
        assert session.scalars(select(Sighting)).all() == []  # the source has answered that it is clean
        assert instances.conflicts(session, [instance]) == {}


# ---- claims


def test_a_guest_counts_once_on_each_host_that_has_or_expects_it(database, guest):
    database.transact(begun)

    def claim_both(session):
        for host in ("compute1", "compute2"):
            claims.claim(session, migration="m1", instance=guest, host=host, memory_mib=96, vcpus=1)

    database.transact(claim_both)
    with database.reading() as session:
        assert claims.used_mib(session) == {"compute1": 96, "compute2": 96}
        assert claims.used_vcpus(session) == {"compute1": 1, "compute2": 1}

    database.transact(lambda session: claims.claim_disk(session, "m1", host="compute2", disk_mib=1024))
    with database.reading() as session:
        assert claims.claimed_disk_mib(session) == {"compute1": 0, "compute2": 1024}

    database.transact(lambda session: claims.release(session, "m1"))
    with database.reading() as session:
        assert claims.used_mib(session) == {"compute1": 96}
        assert claims.claimed_disk_mib(session) == {}


def test_a_guest_that_is_off_needs_no_memory_and_no_cpu(database, guest):
    off = guest_facts(GUEST, power_state=PowerState.SHUTOFF)
    database.transact(lambda session: take_over_guests(session, report_of("compute1", off)))

    with database.reading() as session:
        assert claims.used_mib(session) == {}
        assert claims.used_vcpus(session) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_does_by_hand_leaves_the_lock_to_the_conductor(url, tmp_path, database):
    database.close()
    for path in tmp_path.iterdir():
        os.chown(path, 65534, 65534)
    lock = tmp_path / "limosa.sqlite.lock"
    lock.unlink()

    Database(url).close()

    assert lock.stat().st_uid == 65534
