"""The ledger on disk: what survives, what is refused, what a new one must learn first."""

import os
import stat

import pytest

from common.errors import ConfigurationError
from common.migration import Acknowledgement, Command, Outcome
from common.states import Result, Verb
from compute_agent import durable
from compute_agent.acceptance import Entry, accept
from compute_agent.definition_records import DefinitionRecord, DefinitionRecords
from compute_agent.errors import InvalidCommandError, LedgerCorruptError, LedgerInUseError
from compute_agent.ledger import HostTakenError, Ledger, claim_host

GUEST = "1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
OTHER = "2f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
ENTRY = Entry(instance=GUEST, epoch=7, migration="m", verb=Verb.PRE, called=3)
SECRET = "passwd='very secret'"
RECORD = DefinitionRecord(
    migration="m", is_persistent=True, has_autostart=True, live_xml=SECRET, inactive_xml=SECRET
)


@pytest.fixture
def reopen(tmp_path):
    """Open the ledger as the next agent would; the one before is closed."""
    ledgers = []

    def reopen():
        for ledger in ledgers:
            ledger.close()
        ledgers[:] = [Ledger.open(tmp_path)]
        return ledgers[0]

    yield reopen
    for ledger in ledgers:
        ledger.close()


def outcome(result=Result.OK, **changes):
    fields = {
        "instance": GUEST,
        "migration": "m",
        "epoch": 7,
        "verb": Verb.PRE,
        "host": "compute2",
        "boot_id": "b",
    }
    return Outcome(**{**fields, **changes}, result=result)


def entry_file(tmp_path, instance=GUEST):
    return tmp_path / "ledger" / f"{instance}.json"


def test_what_was_written_is_there_for_the_next_agent(reopen):
    entry = Entry(**{name: getattr(ENTRY, name) for name in Entry.__slots__} | {"outcome": outcome()})

    reopen().page(GUEST).write(entry)

    assert reopen().page(GUEST).entry == entry


def test_a_guest_that_was_never_commanded_has_an_empty_page(reopen):
    assert reopen().page(GUEST).entry is None


def test_what_was_only_kept_is_there_after_it_was_flushed(reopen):
    page = reopen().page(GUEST)
    page.write(ENTRY)
    page.keep(Entry(instance=GUEST, epoch=7, migration="m", verb=Verb.PRE, is_acknowledged=True))
    page.flush()

    assert reopen().page(GUEST).entry.is_acknowledged


def test_a_second_agent_on_the_same_directory_does_not_start(reopen, tmp_path):
    reopen()

    with pytest.raises(LedgerInUseError) as raised:
        Ledger.open(tmp_path)

    assert str(tmp_path) in str(raised.value)
    assert raised.value.exit_code == 2


def test_only_the_last_directory_of_state_path_is_made(tmp_path):
    Ledger.open(tmp_path / "limosa").close()

    with pytest.raises(
        ConfigurationError, match=rf"\[DEFAULT\]state_path: .*{tmp_path}/limsoa does not exist"
    ):
        Ledger.open(tmp_path / "limsoa" / "state")

    assert [path.name for path in tmp_path.iterdir()] == ["limosa"]


def test_a_state_path_that_cannot_be_used_names_its_option(tmp_path):
    (tmp_path / "ledger").write_text("a file where a directory belongs")

    with pytest.raises(ConfigurationError, match=rf"\[DEFAULT\]state_path: {tmp_path}/ledger: ") as raised:
        Ledger.open(tmp_path)

    assert raised.value.exit_code == 2


@pytest.mark.parametrize("domain", ["", ".example.com" * 20])
def test_a_host_has_one_agent_whatever_its_state_path(domain):
    host = f"host-{os.getpid()}{domain}"
    claim = claim_host(host)

    with claim_host(f"other-{host}"), pytest.raises(HostTakenError, match=host) as raised:
        claim_host(host)
    claim.close()

    assert raised.value.exit_code == 2
    claim_host(host).close()


def test_an_entry_is_on_the_disk_before_it_has_its_name_and_its_name_before_write_returns(
    reopen, monkeypatch
):
    page, story = reopen().page(GUEST), []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor):
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        story.append(f"sync {kind}")
        real_fsync(descriptor)

    def replace(source, target, **options):
        story.append("rename")
        real_replace(source, target, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    page.write(ENTRY)

    assert story == ["sync file", "rename", "sync directory"]


def test_a_write_that_fails_leaves_the_old_entry_in_force(reopen, monkeypatch):
    page = reopen().page(GUEST)
    page.write(ENTRY)
    newer = accept(
        ENTRY, Command(instance=GUEST, migration="m", epoch=8, verb=Verb.ROLLBACK, host="compute2")
    )

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write", full)
    with pytest.raises(OSError, match="No space"):
        page.write(newer)

    assert page.entry == ENTRY


def test_half_a_write_is_not_an_entry(reopen, tmp_path):
    reopen().page(GUEST).write(ENTRY)
    temporary = entry_file(tmp_path).with_suffix(".json.tmp")
    temporary.write_text('{"format"')

    assert reopen().page(GUEST).entry == ENTRY
    assert not temporary.exists()


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"format": 99, "entry": {}}', '{"format": 1, "entry": {"epoch": "seven"}}', "\0\0\0"],
)
def test_a_corrupt_entry_is_refused_and_the_others_are_not(reopen, tmp_path, text):
    ledger = reopen()
    ledger.page(GUEST).write(ENTRY)
    ledger.page(OTHER).write(Entry(instance=OTHER, epoch=1, migration="m", verb=Verb.PRE))
    entry_file(tmp_path).write_text(text)

    ledger = reopen()

    with pytest.raises(LedgerCorruptError, match=GUEST):
        ledger.page(GUEST).entry  # noqa: B018
    assert [entry.instance for entry in ledger.entries()] == [OTHER]
    assert len(ledger.problems()) == 1


def test_an_entry_under_another_guests_name_is_corrupt(reopen, tmp_path):
    reopen().page(GUEST).write(ENTRY)
    entry_file(tmp_path, OTHER).write_text(entry_file(tmp_path).read_text())

    with pytest.raises(LedgerCorruptError, match="it is of"):
        reopen().page(OTHER).entry  # noqa: B018


@pytest.mark.parametrize("instance", ["../../etc/passwd", "", "lock", GUEST.upper()])
def test_only_a_uuid_has_a_page(reopen, instance):
    with pytest.raises(InvalidCommandError):
        reopen().page(instance)


# ---- a new ledger


def test_a_ledger_is_new_until_it_has_its_floors(reopen):
    ledger = reopen()
    assert ledger.is_new

    ledger.enrol([Acknowledgement(instance=GUEST, epoch=40)])

    assert not ledger.is_new
    ledger = reopen()
    assert not ledger.is_new
    floor = ledger.page(GUEST).entry
    assert (floor.epoch, floor.verb) == (40, None)


def test_what_a_lost_ledger_had_called_counts_as_in_flight(reopen):
    ledger = reopen()

    ledger.enrol([Acknowledgement(instance=GUEST, epoch=40)])

    assert ledger.page(GUEST).entry.called == 40


def test_an_enrolment_that_was_cut_short_is_made_again(reopen, tmp_path):
    reopen()
    entry_file(tmp_path).write_text('{"format": 1, "ent')

    ledger = reopen()
    ledger.enrol([Acknowledgement(instance=GUEST, epoch=40)])

    assert ledger.page(GUEST).entry.epoch == 40
    assert reopen().page(GUEST).entry.epoch == 40


# ---- definition records


@pytest.fixture
def directory(tmp_path):
    return tmp_path


def test_a_record_belongs_to_its_migration_and_survives(directory):
    DefinitionRecords(directory).write(GUEST, RECORD)

    records = DefinitionRecords(directory)

    assert records.has(GUEST, "m")
    assert not records.has(GUEST, "another")
    assert not records.has(OTHER, "m")


def test_a_record_is_for_root_alone_and_never_shown(directory):
    DefinitionRecords(directory).write(GUEST, RECORD)

    [path] = directory.iterdir()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET not in repr(RECORD)


def test_a_removed_record_leaves_no_file(directory):
    records = DefinitionRecords(directory)
    records.write(GUEST, RECORD)

    records.remove(GUEST)
    records.remove(GUEST)

    assert list(directory.iterdir()) == []
    assert not records.has(GUEST, "m")


def test_the_next_migration_ends_the_record_of_the_one_before(directory):
    records = DefinitionRecords(directory)
    records.write(GUEST, RECORD)

    records.remove_older(GUEST, "m")
    assert records.has(GUEST, "m")
    records.remove_older(GUEST, "next")

    assert list(directory.iterdir()) == []
