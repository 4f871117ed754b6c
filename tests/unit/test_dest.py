"""The dest's verbs: what they refuse, what they do, and what they never touch."""

from uuid import uuid4

import pytest

from common.checks import DISK_NOT_PROVABLE, DOMAIN_EXISTS, MEMORY_SHORT
from common.migration import (
    CheckDestArguments,
    DomainChanges,
    GraphicsListen,
    GuestTraits,
    ObserveArguments,
    PostDestArguments,
    PreArguments,
    RollbackArguments,
)
from common.states import DestSeen, Result, Verb
from common.storage_checks import DISK_PLACE_MISSING
from compute_agent.hypervisor import domain_xml
from compute_agent.hypervisor.driver import DomainState, JobKind, Reason
from tests.fakes.domain import FakeDomain, guest_xml
from tests.fakes.host import MIGRATION, Hosts

TRAITS = GuestTraits(is_persistent=True, has_autostart=False, is_paused=False)


@pytest.fixture
def hosts(tmp_path):
    hosts = Hosts(tmp_path, vnc_listen="192.0.2.2", spice_listen="192.0.2.3")
    hosts.add_guest()
    yield hosts
    hosts.stop()


@pytest.fixture
def dest(hosts):
    return hosts.dest


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "images" / "web1.raw"
    path.parent.mkdir()
    path.write_text("disk")
    return path


def check(hosts, *disks, memory_mib=16, epoch=1):
    arguments = CheckDestArguments(name="web1", memory_mib=memory_mib, vcpus=1, machine="pc", disks=disks)
    return hosts.dest.do(hosts.command(Verb.CHECK_DEST, epoch, arguments))


def prepare(hosts, epoch=2):
    return hosts.dest.do(hosts.command(Verb.PRE, epoch, PreArguments(name="web1")))


def roll_back(hosts, epoch=8, *, is_prepared=True):
    arguments = RollbackArguments(name="web1", is_prepared=is_prepared)
    return hosts.dest.do(hosts.command(Verb.ROLLBACK, epoch, arguments))


def complete(hosts, epoch=5, traits=TRAITS):
    arguments = PostDestArguments(name="web1", traits=traits)
    return hosts.dest.do(hosts.command(Verb.POST_DEST, epoch, arguments))


def arrive(hosts, *, is_persistent=True):
    """The guest as libvirt's Finish leaves it here, our mark in its live XML."""
    xml = hosts.source.hypervisor.domains[hosts.uuid].live_xml
    marked = domain_xml.dest_xml(xml, changes=NO_CHANGES, migration=MIGRATION)
    return put(hosts, live_xml=marked, inactive_xml=xml if is_persistent else None)


def put(hosts, **changes):
    fields = {"state": DomainState.RUNNING, "reason": Reason.MIGRATED} | changes
    domain = FakeDomain(uuid=hosts.uuid, name="web1", **fields)
    hosts.dest.hypervisor.domains[hosts.uuid] = domain
    return domain


def half(hosts, migration=MIGRATION):
    """An incoming half."""
    xml = hosts.source.hypervisor.domains[hosts.uuid].live_xml
    marked = domain_xml.dest_xml(xml, changes=NO_CHANGES, migration=migration)
    return put(
        hosts, live_xml=marked, state=DomainState.PAUSED, reason=Reason.MIGRATION, job=JobKind.INCOMING
    )


def files(path):
    return [] if not path.exists() else sorted(found.name for found in path.iterdir())


def permits(hosts):
    return files(hosts.dest.settings.state_path / "permits")


def probes(image):
    return [name for name in files(image.parent) if name.startswith(".limosa-probe")]


NO_CHANGES = DomainChanges()


# ---- check_can_live_migrate_destination


def test_a_host_that_can_take_the_guest_says_how_it_is_reached(hosts, image):
    outcome = check(hosts, ("vda", "file", str(image), "disk"))

    assert outcome.result is Result.OK
    assert outcome.findings == ()
    assert outcome.dest_facts.connect_address == "compute2"
    assert outcome.dest_facts.inbound_address == ""
    assert [probe.path for probe in outcome.dest_facts.probes] == [str(image)]


def test_an_inbound_address_is_for_the_connection_and_for_the_memory(tmp_path):
    hosts = Hosts(tmp_path, inbound_address="198.51.100.7")
    hosts.add_guest()

    facts = check(hosts).dest_facts

    assert (facts.connect_address, facts.inbound_address) == ("198.51.100.7", "198.51.100.7")
    hosts.stop()


def test_all_reasons_are_found_at_once_and_no_probe_is_left(hosts, image):
    hosts.dest.hypervisor.add_guest(guest_xml("web1", uuid=str(uuid4())), is_running=False)

    outcome = check(
        hosts,
        ("vda", "file", str(image), "disk"),
        ("vdb", "file", str(image.parent / "not" / "mounted" / "missing.raw"), "disk"),
        ("vdc", "vhostuser", "/run/web1.sock", "disk"),
        memory_mib=1_000_000,
    )

    assert outcome.result is Result.REFUSED
    assert {finding.code for finding in outcome.findings} == {
        DOMAIN_EXISTS.code,
        MEMORY_SHORT.code,
        DISK_PLACE_MISSING.code,
        DISK_NOT_PROVABLE.code,
    }
    assert probes(image) == []


@pytest.mark.parametrize("is_running", [True, False])
def test_a_host_that_knows_the_uuid_refuses(hosts, is_running):
    xml = guest_xml("another-name", uuid=hosts.uuid)
    hosts.dest.hypervisor.add_guest(xml, is_running=is_running)

    [finding] = check(hosts).findings

    assert finding.code == DOMAIN_EXISTS.code
    assert finding.evidence == {"what": "uuid", "value": hosts.uuid}


def test_a_silent_libvirt_is_an_error_and_leaves_no_probe(hosts, dest, image):
    dest.hypervisor.go_down()

    outcome = check(hosts, ("vda", "file", str(image), "disk"))

    assert outcome.result is Result.ERROR
    assert outcome.findings
    assert probes(image) == []


# ---- pre_live_migration


def test_preparing_lets_this_migration_in_and_says_where_its_consoles_listen(hosts, image):
    check(hosts, ("vda", "file", str(image), "disk"))

    outcome = prepare(hosts)

    assert outcome.result is Result.OK
    assert set(outcome.changes.graphics) == {
        GraphicsListen(type="vnc", address="192.0.2.2"),
        GraphicsListen(type="spice", address="192.0.2.3"),
    }
    assert permits(hosts) == [MIGRATION]
    assert probes(image) == []


def test_a_guest_that_came_here_since_the_check_is_refused_and_survives_the_rollback(hosts):
    check(hosts)
    hosts.dest.hypervisor.add_guest(guest_xml("web1", uuid=hosts.uuid), is_running=False)

    assert prepare(hosts).result is Result.REFUSED
    assert permits(hosts) == []
    assert roll_back(hosts).result is Result.OK
    assert hosts.uuid in hosts.dest.hypervisor.domains, "it is not ours: this migration has never prepared"


# ---- rollback_live_migration_at_destination


def test_undoing_a_check_removes_the_probe_and_nothing_else(hosts, image):
    check(hosts, ("vda", "file", str(image), "disk"))
    half(hosts)

    outcome = roll_back(hosts, is_prepared=False)

    assert outcome.result is Result.OK
    assert probes(image) == []
    assert hosts.uuid in hosts.dest.hypervisor.domains


def test_undoing_ends_an_incoming_half(hosts):
    prepare(hosts)
    half(hosts)

    outcome = roll_back(hosts)

    assert outcome.result is Result.OK
    assert "incoming half" in outcome.detail
    assert hosts.uuid not in hosts.dest.hypervisor.domains
    assert permits(hosts) == []


def test_undoing_removes_a_definition_that_the_migration_left(hosts):
    prepare(hosts)
    put(hosts, inactive_xml=guest_xml("web1", uuid=hosts.uuid), state=DomainState.SHUTOFF)

    assert roll_back(hosts).result is Result.OK
    assert hosts.uuid not in hosts.dest.hypervisor.domains


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (DomainState.RUNNING, Reason.MIGRATED),
        (DomainState.PAUSED, Reason.USER),
        (DomainState.PAUSED, Reason.POSTCOPY_FAILED),
        (DomainState.RUNNING, Reason.POSTCOPY),
        (DomainState.CRASHED, Reason.CRASHED),
    ],
)
def test_undoing_never_ends_a_guest(hosts, state, reason):
    prepare(hosts)
    arrive(hosts)
    domain = hosts.dest.hypervisor.domains[hosts.uuid]
    domain.state, domain.reason = state, reason

    assert roll_back(hosts).result is Result.RUNNING
    assert hosts.uuid in hosts.dest.hypervisor.domains


def test_undoing_is_finished_by_the_next_agent(hosts, dest):
    prepare(hosts)
    half(hosts)
    dest.core.permits.revoke(MIGRATION)  # the one before has come so far
    dest.restart()

    assert roll_back(hosts).result is Result.OK
    assert hosts.uuid not in dest.hypervisor.domains
    assert permits(hosts) == []


def test_the_hook_refuses_from_the_moment_that_undoing_begins(hosts, dest):
    prepare(hosts)
    half(hosts)
    seen = []
    destroy = dest.hypervisor.destroy
    dest.hypervisor.destroy = lambda uuid: (seen.append(permits(hosts)), destroy(uuid))

    roll_back(hosts)

    assert seen == [[f"{MIGRATION}.revoked"]]


def test_undoing_with_a_silent_libvirt_is_not_done_yet(hosts, dest):
    prepare(hosts)
    dest.hypervisor.go_down()

    assert roll_back(hosts).result is Result.ERROR
    dest.hypervisor.come_up()
    assert roll_back(hosts).result is Result.OK


# ---- post_live_migration_at_destination


def test_a_guest_that_runs_here_is_proven_and_completed(hosts):
    prepare(hosts)
    domain = arrive(hosts)

    outcome = complete(hosts)

    assert outcome.result is Result.RUNNING
    assert domain_xml.migration_mark(domain.live_xml) is None
    assert permits(hosts) == []
    assert domain.inactive_xml is not None
    assert not domain.has_autostart


def test_autostart_is_as_it_was(hosts):
    domain = arrive(hosts)

    complete(hosts, traits=GuestTraits(is_persistent=True, has_autostart=True, is_paused=False))

    assert domain.has_autostart


def test_a_transient_guest_becomes_transient_again(hosts):
    domain = arrive(hosts)

    complete(hosts, traits=GuestTraits(is_persistent=False, has_autostart=False, is_paused=False))

    assert domain.inactive_xml is None
    assert domain.live_xml is not None


def test_a_guest_paused_by_its_user_is_proof_too(hosts):
    domain = arrive(hosts)
    domain.state, domain.reason = DomainState.PAUSED, Reason.USER

    outcome = complete(hosts)

    assert outcome.result is Result.RUNNING
    assert domain.state is DomainState.PAUSED


@pytest.mark.parametrize("is_defined", [True, False])
def test_a_guest_that_is_not_here_is_gone(hosts, is_defined):
    if is_defined:
        put(hosts, inactive_xml=guest_xml("web1", uuid=hosts.uuid), state=DomainState.SHUTOFF)

    assert complete(hosts).result is Result.GONE


def test_an_incoming_half_is_no_proof_yet(hosts, monkeypatch):
    monkeypatch.setattr("compute_agent.dest.FINISH_WAIT_S", 0.1)
    domain = half(hosts)

    assert complete(hosts).result is Result.ERROR
    domain.state, domain.reason, domain.job = DomainState.RUNNING, Reason.MIGRATED, JobKind.NONE
    assert complete(hosts).result is Result.RUNNING


def test_a_guest_that_runs_while_libvirt_has_not_finished_is_no_proof_yet(hosts, monkeypatch):
    monkeypatch.setattr("compute_agent.dest.FINISH_WAIT_S", 0.1)
    domain = arrive(hosts)
    domain.job = JobKind.INCOMING

    assert complete(hosts).result is Result.ERROR
    assert domain_xml.migration_mark(domain.live_xml) == MIGRATION


def test_completing_may_be_repeated(hosts, dest):
    arrive(hosts)
    complete(hosts)
    dest.core.ledger.page(hosts.uuid).keep(None)

    assert complete(hosts, epoch=6).result is Result.RUNNING


# ---- observe


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"live_xml": "<x/>"}, DestSeen.RUNNING),
        ({"inactive_xml": "<x/>", "state": DomainState.SHUTOFF}, DestSeen.SHUTOFF),
        (
            {"live_xml": "<x/>", "state": DomainState.PAUSED, "reason": Reason.USER},
            DestSeen.PAUSED_OTHER,
        ),
    ],
)
def test_what_is_here_is_said_in_one_word(hosts, changes, seen):
    put(hosts, **changes)

    outcome = hosts.dest.do(hosts.command(Verb.OBSERVE, 5, ObserveArguments(is_source=False)))

    assert (outcome.result, outcome.seen) == (Result.OBSERVED, seen)


def test_silence_is_never_absent(hosts, dest):
    dest.hypervisor.go_down()

    outcome = dest.do(hosts.command(Verb.OBSERVE, 5, ObserveArguments(is_source=False)))

    assert outcome.seen is DestSeen.UNREACHABLE
