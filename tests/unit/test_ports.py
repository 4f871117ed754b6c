"""Ports that the dest holds for the source to try: which ones, and that none stays open."""

import pytest

from common.migration import CheckDestArguments, PreArguments, RollbackArguments
from common.states import Result, Verb
from compute_agent.ports import HELD_MAX_S, Ports
from tests.fakes.host import FakeClock, Hosts
from tests.fakes.network import FakeNetwork


@pytest.fixture
def network():
    return FakeNetwork()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def ports(network, clock):
    return Ports(network, first=49152, last=49155, clock=clock)


def test_one_port_at_each_end_of_the_range_is_held_and_let_go(ports, network):
    assert ports.hold("check") == (49152, 49155)
    assert network.listening == {49152, 49155}

    ports.release("check")
    ports.release("check")

    assert network.listening == set()


def test_what_others_have_is_passed_over(ports, network):
    network.taken |= {49152, 49155}

    assert ports.hold("check") == (49153, 49154)


def test_one_free_port_is_held_once(ports, network):
    network.taken |= {49152, 49153, 49155}

    assert ports.hold("check") == (49154,)


def test_a_full_range_gives_none(ports, network):
    network.taken |= {49152, 49153, 49154, 49155}

    assert ports.hold("check") == ()


def test_many_owners_share_two_ports_and_the_last_one_closes_them(ports, network):
    owners = [f"check {number}" for number in range(40)]

    assert {ports.hold(owner) for owner in owners} == {(49152, 49155)}
    assert network.listening == {49152, 49155}, "libvirt finds the others free"
    for owner in owners[:-1]:
        ports.release(owner)
    assert network.listening == {49152, 49155}
    ports.release(owners[-1])
    assert network.listening == set()


def test_who_asks_again_holds_no_more_than_before(ports, network):
    ports.hold("check")

    assert ports.hold("check") == (49152, 49155)
    ports.release("check")
    assert network.listening == set()


def test_what_nobody_came_back_for_is_let_go(ports, network, clock):
    ports.hold("old")
    clock.pass_s(HELD_MAX_S + 1)
    ports.hold("new")

    ports.release_forgotten()

    assert len(network.listening) == 2, "they are held for the new one"
    ports.release_all()
    assert network.listening == set()


def test_what_is_forgotten_by_all_is_closed(ports, network, clock):
    ports.hold("one")
    ports.hold("another")
    clock.pass_s(HELD_MAX_S + 1)

    ports.release_forgotten()

    assert network.listening == set()


# ---- in the verbs


def check(hosts, memory_mib=16):
    told = CheckDestArguments(name="web1", memory_mib=memory_mib, vcpus=1, machine="pc", disks=())
    return hosts.dest.do(hosts.command(Verb.CHECK_DEST, 1, told))


def test_a_dest_that_accepts_holds_ports_until_it_prepares(hosts):
    assert check(hosts).dest_facts.ports == (49152, 49215)
    assert hosts.world.network.listening == {49152, 49215}

    hosts.dest.do(hosts.command(Verb.PRE, 2, PreArguments(name="web1")))

    assert hosts.world.network.listening == set()


def test_or_until_it_is_rolled_back(hosts):
    check(hosts)

    hosts.dest.do(hosts.command(Verb.ROLLBACK, 2, RollbackArguments(name="web1", is_prepared=False)))

    assert hosts.world.network.listening == set()


def test_a_dest_that_refuses_holds_none(hosts):
    outcome = check(hosts, memory_mib=1_000_000)

    assert (outcome.result, outcome.dest_facts.ports) == (Result.REFUSED, ())
    assert hosts.world.network.listening == set()


def test_a_dest_without_a_free_port_refuses(hosts):
    hosts.world.network.taken |= set(range(49152, 49216))

    outcome = check(hosts)

    assert [finding.code for finding in outcome.findings] == ["ports_taken"]


def test_where_it_is_switched_off_no_port_is_held(tmp_path):
    hosts = Hosts(tmp_path, checks_ports=False)
    hosts.add_guest()

    assert check(hosts).dest_facts.ports == ()
    assert hosts.world.network.listening == set()
    hosts.stop()
