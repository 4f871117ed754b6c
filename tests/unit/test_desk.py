"""The desk of one instance: which commands are obeyed, in which order, and what is told about them (rules 6 to 8)."""

import gc
import itertools
import threading
import weakref

import pytest

from common.checks import CHECK_FAILED
from common.migration import Acknowledgement, Command
from common.states import DestSeen, Result, SourceSeen, Verb
from compute_agent import acceptance
from compute_agent.definition_records import DefinitionRecords
from compute_agent.desk import Desks, DeskTools
from compute_agent.events import EventHub
from compute_agent.ledger import Ledger
from compute_agent.outbox import REPEAT_AFTER_MAX_S, REPEAT_AFTER_S, Outbox
from compute_agent.permits import Permits
from compute_agent.work import Answer
from tests.fakes.host import WAIT_S, FakeClock, ListeningConductor

GUEST = "1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"


class Agent:
    """A desk with verbs that do what the test says, over a real ledger."""

    def __init__(self, directory):
        self.directory = directory
        self.conductor = ListeningConductor()
        self.clock = FakeClock()
        self.story = []
        self.verbs = {}
        self.start()

    def start(self):
        self.ledger = Ledger.open(self.directory)
        unacknowledged = tuple(
            entry.outcome
            for entry in self.ledger.entries()
            if entry.outcome is not None and not entry.is_acknowledged
        )
        self.permits = Permits(self.directory)
        self.outbox = Outbox(self.conductor, unacknowledged=unacknowledged, clock=self.clock)
        tools = DeskTools(
            verbs=self.verbs,
            records=DefinitionRecords(self.directory / "ledger"),
            permits=self.permits,
            outbox=self.outbox,
            hub=EventHub(),
            boot_id="boot",
        )
        self.desks = Desks(self.ledger, tools)

    def stop(self):
        self.desks.stop()
        self.ledger.close()

    def restart(self):
        """After an answer is on the disk: it is sent a moment before, and a crash in between makes it again."""
        self.wait_until_idle()
        self.stop()
        self.start()

    def can(self, verb, result, **answer):
        """The verb gives this answer, and is told of in the story."""

        def function(work):
            self.story.append(f"{verb.name} {work.command.epoch}")
            return Answer(result=result, **answer)

        self.verbs[verb] = function

    def can_be_held(self, verb, result):
        """The verb waits inside until it is let go: (it has begun, let it go)."""
        begun, let_go = threading.Event(), threading.Event()

        def function(work):
            self.story.append(f"{verb.name} {work.command.epoch} begins")
            begun.set()
            assert let_go.wait(WAIT_S)
            self.story.append(f"{verb.name} {work.command.epoch} ends")
            return Answer(result=result)

        self.verbs[verb] = function
        return begun, let_go

    def execute(self, verb, epoch, *, migration="m"):
        command = Command(instance=GUEST, migration=migration, epoch=epoch, verb=verb, host="compute1")
        self.desks.of(GUEST).execute(command)

    def do(self, verb, epoch, *, migration="m"):
        before = len(self.told(epoch))
        self.execute(verb, epoch, migration=migration)
        return self.conductor.outcome_of(epoch, after=before)

    def wait_until_idle(self):
        assert self.desks.of(GUEST).wait_until_idle(WAIT_S)

    def told(self, epoch):
        return [outcome for outcome in self.conductor.outcomes if outcome.epoch == epoch]

    def acknowledge(self, epoch):
        self.desks.of(GUEST).acknowledge(Acknowledgement(instance=GUEST, epoch=epoch))

    @property
    def entry(self):
        return self.ledger.page(GUEST).entry


@pytest.fixture
def agent(tmp_path):
    agent = Agent(tmp_path)
    yield agent
    agent.stop()


# ---- rule 7: what a command leads to


def test_a_command_is_obeyed_and_answered(agent):
    agent.can(Verb.PRE, Result.OK, detail="done")

    outcome = agent.do(Verb.PRE, 5)

    assert (outcome.instance, outcome.migration, outcome.epoch, outcome.verb) == (GUEST, "m", 5, Verb.PRE)
    assert (outcome.host, outcome.boot_id) == ("compute1", "boot")
    assert (outcome.result, outcome.detail) == (Result.OK, "done")


def test_a_kept_outcome_is_repeated_and_not_made_again(agent):
    agent.can(Verb.PRE, Result.OK)
    agent.do(Verb.PRE, 5)

    agent.do(Verb.PRE, 5)

    assert agent.story == ["PRE 5"]


def test_a_kept_outcome_is_repeated_by_the_agent_that_starts_next(agent):
    agent.can(Verb.PRE, Result.OK)
    first = agent.do(Verb.PRE, 5)
    agent.restart()

    again = agent.do(Verb.PRE, 5)

    assert agent.story == ["PRE 5"]
    assert again == first


def test_an_observation_is_made_anew_for_each_delivery(agent):
    agent.can(Verb.OBSERVE, Result.OBSERVED, seen=SourceSeen.RUNNING)
    agent.do(Verb.OBSERVE, 5)
    agent.can(Verb.OBSERVE, Result.OBSERVED, seen=SourceSeen.ABSENT)

    assert agent.do(Verb.OBSERVE, 5).seen is SourceSeen.ABSENT


def test_what_only_goes_forward_is_tried_again_after_an_error(agent):
    agent.can(Verb.POST_DEST, Result.ERROR)
    agent.do(Verb.POST_DEST, 5)
    agent.can(Verb.POST_DEST, Result.RUNNING)

    assert agent.do(Verb.POST_DEST, 5).result is Result.RUNNING


def test_a_repeated_command_joins_the_one_at_work(agent):
    begun, let_go = agent.can_be_held(Verb.PRE, Result.OK)
    agent.execute(Verb.PRE, 5)
    assert begun.wait(WAIT_S)

    agent.execute(Verb.PRE, 5)
    let_go.set()
    agent.conductor.outcome_of(5)

    assert agent.story == ["PRE 5 begins", "PRE 5 ends"]


def test_an_older_command_has_no_effect_and_is_told_the_newer_epoch(agent):
    agent.can(Verb.PRE, Result.OK)
    agent.can(Verb.ROLLBACK, Result.OK)
    agent.do(Verb.ROLLBACK, 9)

    outcome = agent.do(Verb.PRE, 8)

    assert (outcome.result, outcome.accepted_epoch) == (Result.SUPERSEDED, 9)
    assert agent.story == ["ROLLBACK 9"]
    assert agent.entry.epoch == 9


def test_an_older_command_has_no_effect_on_the_agent_that_starts_next(agent):
    agent.can(Verb.PRE, Result.OK)
    agent.can(Verb.ROLLBACK, Result.OK)
    agent.do(Verb.ROLLBACK, 9)
    agent.restart()

    assert agent.do(Verb.PRE, 8).result is Result.SUPERSEDED
    assert agent.story == ["ROLLBACK 9"]


@pytest.mark.parametrize(("verb", "migration"), [(Verb.ROLLBACK, "m"), (Verb.PRE, "another")])
def test_another_command_of_the_same_epoch_is_an_alarm(agent, caplog, verb, migration):
    agent.can(Verb.PRE, Result.OK)
    agent.can(Verb.ROLLBACK, Result.OK)
    agent.do(Verb.PRE, 5)

    outcome = agent.do(verb, 5, migration=migration)

    assert (outcome.result, outcome.accepted_epoch) == (Result.SUPERSEDED, 5)
    assert agent.story == ["PRE 5"]
    assert "lost commits" in caplog.text


def test_a_command_at_its_floor_is_obeyed_and_one_below_is_not(agent):
    agent.ledger.enrol([Acknowledgement(instance=GUEST, epoch=40)])
    agent.can(Verb.OBSERVE, Result.OBSERVED, seen=SourceSeen.RUNNING)

    assert agent.do(Verb.OBSERVE, 39).result is Result.SUPERSEDED
    assert agent.do(Verb.OBSERVE, 40).result is Result.OBSERVED


def test_a_guest_whose_entry_is_corrupt_is_left_alone_and_that_is_said(agent, caplog):
    agent.can(Verb.PRE, Result.OK)
    agent.do(Verb.PRE, 5)
    agent.wait_until_idle()
    (agent.directory / "ledger" / f"{GUEST}.json").write_text("garbage")
    agent.stop()
    agent.start()

    outcome = agent.do(Verb.ROLLBACK, 6)

    assert outcome.result is Result.ERROR
    assert "cannot be read" in outcome.detail
    assert agent.story == ["PRE 5"]
    assert "cannot be read" in caplog.text
    assert (agent.directory / "ledger" / f"{GUEST}.json").read_text() == "garbage"


# ---- rule 8: the order in which a newer command takes over


def test_the_epoch_is_on_the_disk_before_the_verb_begins(agent):
    seen = []

    def look_at_the_disk(work):
        text = (agent.directory / "ledger" / f"{GUEST}.json").read_text()
        seen.append('"epoch": 5' in text)
        return Answer(result=Result.OK)

    agent.verbs[Verb.PRE] = look_at_the_disk
    agent.do(Verb.PRE, 5)

    assert seen == [True]


def test_a_command_that_cannot_be_written_is_not_obeyed(agent, monkeypatch):
    agent.can(Verb.PRE, Result.OK)

    def full(_entry):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(agent.ledger.page(GUEST), "write", full)
    with pytest.raises(OSError, match="No space"):
        agent.execute(Verb.PRE, 5)

    assert agent.story == []


def test_a_newer_command_waits_until_the_older_worker_has_ended_and_voids_its_result(agent):
    begun, let_go = agent.can_be_held(Verb.PRE, Result.OK)
    agent.can(Verb.ROLLBACK, Result.OK)
    agent.execute(Verb.PRE, 5)
    assert begun.wait(WAIT_S)

    agent.execute(Verb.ROLLBACK, 6)
    assert agent.entry.epoch == 6, "accepted, and on the disk, while the older one still works"
    assert agent.story == ["PRE 5 begins"]
    let_go.set()
    agent.conductor.outcome_of(6)

    assert agent.story == ["PRE 5 begins", "PRE 5 ends", "ROLLBACK 6"]
    assert agent.told(5) == []
    assert agent.entry.outcome.epoch == 6


def test_of_two_newer_commands_that_wait_only_the_newest_is_done(agent):
    begun, let_go = agent.can_be_held(Verb.PRE, Result.OK)
    agent.can(Verb.ROLLBACK, Result.OK)
    agent.can(Verb.OBSERVE, Result.OBSERVED)
    agent.execute(Verb.PRE, 5)
    assert begun.wait(WAIT_S)

    agent.execute(Verb.ROLLBACK, 6)
    agent.execute(Verb.OBSERVE, 7)
    let_go.set()
    agent.conductor.outcome_of(7)

    assert agent.story == ["PRE 5 begins", "PRE 5 ends", "OBSERVE 7"]


def test_a_newer_command_tells_the_older_one_to_stop(agent):
    stopped = threading.Event()

    def until_stopped(work):
        for _ in range(1000):
            if work.is_stopped:
                stopped.set()
                break
            threading.Event().wait(0.01)
        return Answer(result=Result.ENDED)

    agent.verbs[Verb.WATCH] = until_stopped
    agent.can(Verb.ABORT, Result.OBSERVED)
    agent.execute(Verb.WATCH, 5)

    agent.do(Verb.ABORT, 6)

    assert stopped.is_set()
    assert agent.told(5) == []


def test_what_the_older_epoch_has_called_stays_in_the_ledger(agent):
    agent.ledger.enrol([Acknowledgement(instance=GUEST, epoch=4)])
    agent.can(Verb.OBSERVE, Result.OBSERVED)

    agent.do(Verb.OBSERVE, 5)

    assert agent.entry.called == 4


# ---- what goes wrong inside a verb


@pytest.mark.parametrize("verb", [Verb.CHECK_DEST, Verb.CHECK_SOURCE])
def test_a_check_that_breaks_is_an_error_with_a_finding_and_is_kept(agent, verb):
    def broken(_work):
        raise RuntimeError("out of luck")

    agent.verbs[verb] = broken

    outcome = agent.do(verb, 5)

    assert outcome.result is Result.ERROR
    assert [finding.code for finding in outcome.findings] == [CHECK_FAILED.code]
    assert "out of luck" in outcome.findings[0].sentence
    assert agent.entry.outcome == outcome


def test_a_verb_that_breaks_does_not_block_the_next_command(agent):
    def broken(_work):
        raise RuntimeError("out of luck")

    agent.verbs[Verb.PRE] = broken
    agent.can(Verb.ROLLBACK, Result.OK)
    agent.do(Verb.PRE, 5)

    assert agent.do(Verb.ROLLBACK, 6).result is Result.OK


def test_an_agent_that_stops_records_nothing_of_what_it_was_doing(agent):
    begun, let_go = agent.can_be_held(Verb.PRE, Result.OK)
    agent.execute(Verb.PRE, 5)
    assert begun.wait(WAIT_S)

    agent.desks.of(GUEST).stop()
    let_go.set()
    agent.wait_until_idle()

    assert agent.told(5) == []
    assert agent.entry.outcome is None


def test_an_agent_that_stops_does_not_forget_that_it_has_called(agent):
    """Else the next one would find neither a call nor an outcome, and call again under the same epoch."""
    begun, let_go = threading.Event(), threading.Event()
    page = agent.ledger.page(GUEST)

    def live_migration(work):
        page.write(acceptance.call(page.entry, work.command.epoch))
        begun.set()
        assert let_go.wait(WAIT_S)
        return Answer(result=Result.OK, has_call_ended=True)

    agent.verbs[Verb.LIVE] = live_migration
    agent.execute(Verb.LIVE, 5)
    assert begun.wait(WAIT_S)
    agent.desks.of(GUEST).stop()
    let_go.set()
    agent.wait_until_idle()

    assert (agent.entry.called, agent.entry.outcome) == (5, None)


# ---- outcomes are repeated until they are acknowledged


def test_an_outcome_is_repeated_ever_more_seldom_until_it_is_acknowledged(agent):
    agent.can(Verb.PRE, Result.OK)
    agent.do(Verb.PRE, 5)
    sent_at = []

    for _ in range(300):
        agent.clock.pass_s(1)
        before = len(agent.told(5))
        agent.outbox.repeat_what_is_due()
        if len(agent.told(5)) > before:
            sent_at.append(agent.clock.now_s)
    pauses = [later - earlier for earlier, later in itertools.pairwise(sent_at)]

    assert sent_at[0] - 1000 == REPEAT_AFTER_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == REPEAT_AFTER_MAX_S
    agent.acknowledge(5)
    before = len(agent.told(5))
    agent.clock.pass_s(1000)
    agent.outbox.repeat_what_is_due()
    assert len(agent.told(5)) == before


def test_the_next_command_acknowledges_what_was_answered_before(agent):
    agent.can(Verb.CHECK_DEST, Result.OK)
    begun, let_go = agent.can_be_held(Verb.PRE, Result.OK)
    agent.do(Verb.CHECK_DEST, 5)

    agent.execute(Verb.PRE, 6)
    assert begun.wait(WAIT_S)
    agent.clock.pass_s(1000)
    agent.outbox.repeat_what_is_due()

    assert len(agent.told(5)) == 1
    let_go.set()
    agent.wait_until_idle()


def test_an_outcome_that_nobody_acknowledged_is_sent_by_the_agent_that_starts_next(agent):
    agent.can(Verb.PRE, Result.OK)
    agent.conductor.is_away = True
    agent.execute(Verb.PRE, 5)
    agent.restart()
    agent.conductor.is_away = False

    agent.outbox.repeat_what_is_due()

    assert agent.told(5)[0].result is Result.OK


def test_an_acknowledged_outcome_is_not_sent_by_the_agent_that_starts_next(agent):
    agent.can(Verb.PRE, Result.OK)
    agent.do(Verb.PRE, 5)
    agent.acknowledge(5)
    agent.restart()
    agent.clock.pass_s(1000)

    agent.outbox.repeat_what_is_due()

    assert len(agent.told(5)) == 1


def test_an_outcome_that_a_newer_command_overtook_on_its_way_out_is_not_repeated_for_ever(agent):
    agent.can(Verb.PRE, Result.OK)
    agent.can(Verb.OBSERVE, Result.OBSERVED, seen=SourceSeen.RUNNING)
    late = agent.do(Verb.PRE, 5)
    agent.do(Verb.OBSERVE, 6)
    agent.outbox.send(late, is_kept=True)

    agent.acknowledge(5)

    agent.clock.pass_s(REPEAT_AFTER_S)
    agent.outbox.repeat_what_is_due()
    assert len(agent.told(5)) == 2


def test_work_that_has_ended_is_not_held_on_to(agent):
    agent.can(Verb.OBSERVE, Result.OBSERVED, seen=SourceSeen.RUNNING)
    begun = []
    agent.verbs[Verb.PRE] = lambda work: begun.append(weakref.ref(work)) or Answer(result=Result.OK)
    agent.do(Verb.PRE, 5)
    agent.wait_until_idle()

    for epoch in (6, 7):
        agent.do(Verb.OBSERVE, epoch)
        agent.wait_until_idle()

    gc.collect()
    assert begun[0]() is None


def test_an_acknowledgement_of_something_older_changes_nothing(agent):
    agent.can(Verb.PRE, Result.OK)
    agent.do(Verb.PRE, 5)

    agent.acknowledge(4)

    assert not agent.entry.is_acknowledged


def test_a_conductor_that_is_away_costs_one_try_a_look(agent):
    outcomes = [
        Answer(result=Result.OK).outcome(
            Command(instance=name, migration="m", epoch=5, verb=Verb.PRE, host="compute1"), boot_id="boot"
        )
        for name in ("a", "b", "c")
    ]
    outbox = Outbox(agent.conductor, unacknowledged=tuple(outcomes), clock=agent.clock)
    agent.conductor.is_away = True
    outbox.repeat_what_is_due()
    assert agent.conductor.refused == 1
    agent.conductor.is_away = False
    agent.clock.pass_s(1000)

    outbox.repeat_what_is_due()

    assert agent.conductor.outcomes == outcomes


# ---- permits


def test_the_end_of_a_migration_takes_its_permit_away_whatever_was_commanded_last(agent):
    """A guest that died where it had arrived: the dest is observed, and gets no command after that."""
    agent.can(Verb.OBSERVE, Result.OBSERVED, seen=DestSeen.SHUTOFF)
    agent.permits.grant("m", GUEST)
    agent.do(Verb.OBSERVE, 5)
    agent.acknowledge(5)
    assert permits(agent) == ["m"], "the migration goes on"

    agent.acknowledge(6)
    assert permits(agent) == []


def test_a_permit_whose_end_was_never_told_goes_with_the_guests_next_migration(agent):
    agent.can(Verb.CHECK_DEST, Result.OK)
    agent.permits.grant("m", GUEST)
    agent.permits.grant("another-guests", GUEST.replace("1", "2"))
    agent.permits.grant("next", GUEST)
    agent.do(Verb.CHECK_DEST, 7, migration="next")

    assert permits(agent) == ["another-guests", "next"]


def test_an_acknowledgement_beyond_a_floor_is_of_no_migration_that_is_known_here(agent):
    agent.ledger.enrol((Acknowledgement(instance=GUEST, epoch=4),))
    agent.permits.grant("m", GUEST)
    agent.acknowledge(5)

    assert permits(agent) == ["m"]


def permits(agent):
    return sorted(path.name for path in (agent.directory / "permits").iterdir())
