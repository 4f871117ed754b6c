"""The way from this host to others: their names, their libvirtds, their ports for the memory of guests."""

import time
from collections.abc import Iterator

from common import concurrency
from common.checks import CHECK_FAILED
from common.diagnosis import Diagnosis
from common.doctor_questions import PEER, PEER_PORTS
from common.facts import HostFacts
from common.migration import DestinationFacts
from common.pair_checks import HOST_UUID_SHARED, PEER_IS_ANOTHER
from compute_agent.checks.look import PeerLook
from compute_agent.checks.reach import REACH_TIMEOUT_S, check_host_uuid, check_peer, check_ports
from compute_agent.doctor.look import HostLook
from compute_agent.doctor.running import Asked, ask_all
from compute_agent.hypervisor.driver import Identity
from compute_agent.hypervisor.libvirt_errors import HypervisorError
from compute_agent.migrate_request import connection_uri

PEER_TIMEOUT_S = 20.0  # all about one of them
PEERS_TIMEOUT_S = 20.0  # until the last is begun
PEERS_AT_ONCE = 4  # each costs two native threads of the 20 that there are
_NOTHING_TOLD = HostFacts(
    hypervisor_type="",
    hypervisor_version=0,
    libvirt_version=0,
    cpu_model="",
    cpu_arch="",
    vcpus_total=0,
    memory_total_mib=0,
)


def ask_peers(look: HostLook, peers: tuple[DestinationFacts, ...]) -> tuple[Diagnosis, ...]:
    """Some at a time, in their order. They have told of themselves, and hold their ports open.

    None is begun when the time for it is over; that is told of each.
    """
    begun_until = time.monotonic() + PEERS_TIMEOUT_S
    answers: dict[str, tuple[Diagnosis, ...]] = {}
    waiting = list(reversed(peers))

    def work() -> None:
        while waiting and time.monotonic() < begun_until:  # each turn takes one away
            peer = waiting.pop()
            answers[peer.host] = ask_peer(look, peer)

    for task in [concurrency.spawn(work) for _ in range(min(PEERS_AT_ONCE, len(peers)))]:
        task.wait(PEERS_TIMEOUT_S + 2 * PEER_TIMEOUT_S)  # `ask_peer` has a bound of its own
    return tuple(line for peer in peers for line in answers.get(peer.host, (_not_asked(look, peer.host),)))


def _not_asked(look: HostLook, peer: str) -> Diagnosis:
    late = CHECK_FAILED.finding(look.host, reason=f"its turn did not come within {PEERS_TIMEOUT_S:g} s")
    return PEER.found(late, host=look.host, peer=peer)


def ask_peer(look: HostLook, reach: DestinationFacts) -> tuple[Diagnosis, ...]:
    peer = _peer_look(look, reach)
    asked: list[Asked] = [(PEER, lambda: _answer_peer(look, peer))]
    if reach.ports:
        asked.append((PEER_PORTS, lambda: _answer_ports(look, peer)))
    return ask_all(asked, host=look.host, peer=reach.host, timeout_s=PEER_TIMEOUT_S)


def ask_named_peer(look: HostLook, name: str) -> tuple[Diagnosis, ...]:
    """One that has told nothing of itself: all that is known of it is its name. Its ports cannot be tried."""
    return ask_all(
        [(PEER, lambda: _answer_named_peer(look, name))],
        host=look.host,
        peer=name,
        timeout_s=PEER_TIMEOUT_S,
    )


def _peer_look(look: HostLook, reach: DestinationFacts) -> PeerLook:
    return PeerLook(
        hypervisor=look.hypervisor,
        network=look.network,
        settings=look.settings,
        reach=reach,
        dest=reach.facts,
        dest_host=reach.host,
    )


def _answer_peer(look: HostLook, peer: PeerLook) -> Iterator[Diagnosis]:
    name = peer.dest_host
    findings = (*check_peer(peer), *check_host_uuid(peer))
    yield from PEER.all_found(findings, host=look.host, peer=name)
    if not findings:
        yield PEER.passed(f"Reaches libvirtd of {name} at {_uri(look, peer)}.", host=look.host, peer=name)


def _answer_named_peer(look: HostLook, name: str) -> Iterator[Diagnosis]:
    peer = _peer_look(look, DestinationFacts(connect_address=name, host=name, facts=_NOTHING_TOLD))
    findings = tuple(check_peer(peer))
    if findings:
        yield from PEER.all_found(findings, host=look.host, peer=peer.dest_host)
        return
    uri = _uri(look, peer)
    found, own = look.hypervisor.reach(uri, timeout_s=REACH_TIMEOUT_S), _own_identity(look)
    if found == own:
        another = PEER_IS_ANOTHER.finding(
            look.host,
            peer=peer.dest_host,
            uri=uri,
            address=", ".join(look.network.resolve(peer.reach.connect_address)),
            found=f"{found.hostname} ({found.uuid}), this host itself",
        )
        yield PEER.found(another, host=look.host, peer=peer.dest_host)
    elif found.uuid and found.uuid == own.uuid:
        shared = HOST_UUID_SHARED.finding(look.host, peer=peer.dest_host, uuid=own.uuid)
        yield PEER.found(shared, host=look.host, peer=peer.dest_host)
    else:
        sentence = f"Reaches libvirtd of {found.hostname} ({found.uuid}) at {uri}."
        yield PEER.passed(sentence, host=look.host, peer=peer.dest_host)


def _own_identity(look: HostLook) -> Identity:
    try:
        return look.hypervisor.identity()
    except HypervisorError:  # told by the question of libvirt
        return Identity(hostname="", uuid="")


def _answer_ports(look: HostLook, peer: PeerLook) -> Iterator[Diagnosis]:
    name = peer.dest_host
    findings = tuple(check_ports(peer))
    yield from PEER_PORTS.all_found(findings, host=look.host, peer=name)
    if not findings:
        told = " and ".join(map(str, peer.reach.ports))
        sentence = f"Reaches ports {told} of {name}, where the memory of guests goes."
        yield PEER_PORTS.passed(sentence, host=look.host, peer=name)


def _uri(look: HostLook, peer: PeerLook) -> str:
    return connection_uri(look.settings.live_migration, peer.reach.connect_address)
