"""That a guest's network follows it: announced on the dest, measured and verified on the source."""

import threading
from dataclasses import replace

import pytest

from common.states import MigrationStatus, Phase
from common.transfer import Handover
from compute_agent.handover import gap, verification
from compute_agent.handover.announcing import FIRST_TRIES, REPEATS_S, Announcer
from compute_agent.handover.gap import Gaps
from compute_agent.handover.ports import Port, Switches
from compute_agent.hypervisor.driver import EventKind, HypervisorEvent
from compute_agent.links import VXLAN
from conductor import handover
from tests.fakes.frames import FakeFrames
from tests.fakes.links import FakeLinks
from tests.fakes.openvswitch import FakeOpenVSwitch
from tests.fakes.waiting import WAIT_S, wait_until
from tests.unit import sagas

MAC = "52:54:00:4c:00:64"
ADDRESS = "10.78.0.100"
PORT = Port(mac=MAC, tap="vnet0", bridge="br-data")
WEB, MIGRATION = "web", "migration"


@pytest.fixture
def frames():
    return FakeFrames()


@pytest.fixture
def links():
    links = FakeLinks()
    links.add_bridge("br-data", uplink="data")
    links.add_tap("vnet0", bridge="br-data")
    return links


@pytest.fixture
def open_vswitch():
    return FakeOpenVSwitch()


@pytest.fixture
def switches(links, open_vswitch):
    return Switches(links=links, open_vswitch=open_vswitch)


# ---- the dest


class Pauses:
    """Sleeps that end when the test lets them."""

    def __init__(self):
        self.taken = []
        self.go_on = threading.Semaphore(0)

    def __call__(self, seconds):
        if not seconds:
            return
        self.taken.append(seconds)
        assert self.go_on.acquire(timeout=WAIT_S)


def test_a_guest_is_announced_at_once_and_then_with_growing_pauses(links, switches, frames):
    pauses = Pauses()
    announcer = Announcer(switches, frames, sleep=pauses)

    assert announcer.announce(WEB, (PORT,)) == ()

    assert frames.announced == [(MAC, "br-data")]
    assert links.forwarding(MAC, bridge="br-data").port == "vnet0"
    for _ in REPEATS_S:
        pauses.go_on.release()
    wait_until(lambda: len(frames.announced) == 1 + len(REPEATS_S), "all are sent")
    assert pauses.taken == sorted(REPEATS_S)


def test_a_guest_that_leaves_is_not_announced_any_more(switches, frames):
    pauses = Pauses()
    announcer = Announcer(switches, frames, sleep=pauses)
    announcer.announce(WEB, (PORT,))
    wait_until(lambda: pauses.taken, "the first pause")

    announcer.stop(WEB)
    for _ in REPEATS_S:
        pauses.go_on.release()

    announcer.announce("other", (replace(PORT, mac="52:54:00:00:00:02"),))
    assert [mac for mac, _ in frames.announced].count(MAC) == 1


def test_what_cannot_be_announced_is_told(switches, frames):
    frames.problem = "Network is down"

    waited = []

    [problem] = Announcer(switches, frames, sleep=waited.append).announce(WEB, (PORT,))

    assert waited[:FIRST_TRIES] == [0.0, *REPEATS_S][:FIRST_TRIES]
    assert problem == f"{MAC} could not be announced on br-data: Network is down"


# ---- the gap


@pytest.fixture
def gaps(frames):
    return Gaps(frames)


def event(kind):
    return HypervisorEvent(kind=kind, uuid=WEB)


def measuring(gaps, **addresses):
    return gaps.measuring(MIGRATION, WEB, lambda: (PORT,), addresses=addresses)


def test_the_gap_lasts_from_the_pause_until_the_guest_answers(gaps, frames):
    frames.heard[MAC] = (ADDRESS,)
    with measuring(gaps):
        assert frames.has_listened.wait(WAIT_S)
        gaps.on_event(event(EventKind.SUSPENDED))
        assert frames.has_asked.wait(WAIT_S)
    frames.answers.add(MAC)

    wait_until(lambda: gaps._watches[MIGRATION].gaps_s, "it answers")
    measured = gaps.measured(MIGRATION)
    assert measured.gap_ms >= 0
    assert measured.addresses == {MAC: (ADDRESS,)}
    assert frames.asked[0] == (MAC, (ADDRESS,), "br-data")


def test_a_guest_whose_address_is_declared_is_not_listened_to(gaps, frames):
    frames.answers.add(MAC)
    with gaps.measuring(MIGRATION, WEB, lambda: (PORT,), addresses={MAC: (ADDRESS,)}):
        gaps.on_event(event(EventKind.SUSPENDED))
        wait_until(lambda: gaps._watches[MIGRATION].gaps_s, "it answers")

    assert not frames.has_listened.is_set()


def test_a_guest_that_says_nothing_is_not_asked(gaps, frames):
    with measuring(gaps):
        assert frames.has_listened.wait(WAIT_S)
        gaps.on_event(event(EventKind.SUSPENDED))

    assert gaps.measured(MIGRATION) == gap.Measured()
    assert frames.asked == []


def test_a_guest_that_goes_on_here_has_no_gap(gaps, frames):
    with gaps.measuring(MIGRATION, WEB, lambda: (PORT,), addresses={MAC: (ADDRESS,)}):
        gaps.on_event(event(EventKind.SUSPENDED))
        assert frames.has_asked.wait(WAIT_S)
        gaps.on_event(event(EventKind.RESUMED))
        frames.answers.add(MAC)

    assert gaps.measured(MIGRATION).gap_ms is None


def test_departures_that_nobody_comes_back_for_are_forgotten(gaps):
    for number in range(gap.KEPT_MAX + 5):
        with gaps.measuring(f"migration-{number}", WEB, lambda: (), addresses={}):
            pass

    assert len(gaps._watches) == gap.KEPT_MAX


# ---- the source's verification


def unverified(switches, frames, *, port=PORT, addresses=(ADDRESS,), waited=None):
    return verification.unverified(
        switches,
        frames,
        (replace(port, tap=""),),
        addresses={MAC: addresses} if addresses else {},
        sleep=(waited if waited is not None else []).append,
    )


def test_it_is_verified_when_the_guest_answers_through_the_uplink(links, switches, frames):
    frames.answers.add(MAC)
    links.learn(MAC, port="data")
    waited = []

    assert unverified(switches, frames, waited=waited) == ()
    assert waited == [0.0]


def test_an_answer_alone_verifies_nothing(links, switches, frames):
    frames.answers.add(MAC)
    assert unverified(switches, frames) == (f"br-data here does not know where {MAC} is",)

    links.learn(MAC, port="vnet0")
    assert unverified(switches, frames) == (f"br-data here sends what is for {MAC} to the tap vnet0",)


def test_a_way_without_an_answer_verifies_nothing(links, switches, frames):
    links.learn(MAC, port="data")
    waited = []

    assert unverified(switches, frames, waited=waited) == (f"{MAC} does not answer from there",)
    assert waited == list(verification.PAUSES_S)


def test_a_guest_whose_address_nobody_knows_is_not_waited_for(links, switches, frames):
    links.learn(MAC, port="data")
    waited = []

    [reason] = unverified(switches, frames, addresses=(), waited=waited)

    assert reason == f"{MAC} was not asked: no IPv4 address of it is declared, and it sent none"
    assert waited == [0.0]


def test_a_vxlan_must_know_behind_which_host_the_guest_is(links, switches, frames):
    frames.answers.add(MAC)
    links.add("vx-blue", VXLAN, master="br-data")
    links.learn(MAC, port="vx-blue")
    assert unverified(switches, frames) == (f"vx-blue here does not know behind which host {MAC} is",)

    links.remotes["vx-blue", MAC] = "192.0.2.2"
    assert unverified(switches, frames) == ()


def test_links_that_cannot_be_looked_at_are_told(links, switches, frames):
    frames.problem = "Network is down"

    assert unverified(switches, frames) == (f"{MAC} could not be asked: Network is down",)


# ---- Open vSwitch

OVS_PORT = replace(PORT, bridge="br-ovs", is_open_vswitch=True)


def test_open_vswitch_is_looked_at_and_never_spoken_to(switches, open_vswitch, frames):
    announcer = Announcer(switches, frames, sleep=lambda _: None)
    open_vswitch.ports["br-ovs", MAC] = "uplink"
    assert announcer.announce(WEB, (OVS_PORT,)) == (
        f"br-ovs sends what is for {MAC} to uplink, and not to vnet0",
    )

    open_vswitch.ports["br-ovs", MAC] = "vnet0"
    assert announcer.announce(WEB, (OVS_PORT,)) == ()
    assert frames.announced == []


def test_a_guest_behind_open_vswitch_is_verified_through_a_port_that_the_kernel_does_not_know(
    switches, open_vswitch, frames
):
    frames.answers.add(MAC)
    assert unverified(switches, frames, port=OVS_PORT) == (f"br-ovs here does not know where {MAC} is",)

    open_vswitch.ports["br-ovs", MAC] = "vxlan-to-compute2"
    assert unverified(switches, frames, port=OVS_PORT) == ()


# ---- both together, in the conductor

SEEN = Handover(is_verified=True)
MEASURED = Handover(is_verified=True, gap_ms=143)


@pytest.mark.parametrize(
    ("dest", "source", "is_verified"),
    [
        (SEEN, MEASURED, True),
        (Handover(is_verified=False, detail="not announced"), MEASURED, False),
        (SEEN, replace(MEASURED, is_verified=False, detail="not reached"), False),
        (None, MEASURED, False),
        (SEEN, None, False),
    ],
)
def test_it_is_verified_only_if_both_hosts_have_seen_it(dest, source, is_verified):
    both = handover.joined(dest, source)

    assert both.is_verified is is_verified
    assert both.gap_ms == (None if source is None else 143)
    assert bool(both.detail) is not is_verified


def test_where_nothing_is_to_be_seen_nothing_is_told():
    saga = sagas.saga(Phase.DONE, status=MigrationStatus.COMPLETED)

    assert handover.joined(None, None) is None
    assert handover.story(saga) == ""
    assert handover.is_verified(saga) is None


def test_the_story_says_what_was_verified_and_what_was_not():
    seen = sagas.saga(Phase.DONE, status=MigrationStatus.COMPLETED, handover=MEASURED)
    missed = replace(seen, handover=Handover(is_verified=False, detail="it was not asked"))

    assert handover.story(seen) == (
        f"its network finds the guest on {seen.dest} after 143 ms without an answer"
    )
    assert handover.story(missed) == (
        f"it was not verified that its network finds the guest on {seen.dest}: it was not asked"
    )
    assert (handover.gap_ms(seen), handover.is_verified(seen), handover.is_verified(missed)) == (
        143,
        True,
        False,
    )
