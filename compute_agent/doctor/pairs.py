"""What must be alike on two hosts, or is told apart: asked on one of them, with what the other has told of itself. Pure."""

from collections.abc import Callable, Iterator

from common.diagnosis import Diagnosis, HostSheet, Place
from common.doctor_questions import ALIKE, CPU, SHARED
from common.facts import HostFacts
from common.host_pair_checks import (
    AGENT_VERSIONS_DIFFER,
    CPUS_DIFFER,
    PLACE_DIFFERS,
    QEMU_USERS_DIFFER,
    VERSIONS_DIFFER,
)
from common.pair_checks import LOCK_MANAGER_DIFFERS, SECURITY_MODEL_DIFFERS, SERVICE_USER_DIFFERS
from compute_agent.doctor.libvirt import version_text
from compute_agent.doctor.places import LOCAL_FILE_SYSTEMS
from compute_agent.hypervisor.cpu import differences, host_cpu

_NO_LOCK_MANAGER = "QEMU's own locks only"


def compare(own: HostSheet, peer: HostSheet, *, place_at: Callable[[str], Place]) -> tuple[Diagnosis, ...]:
    """`place_at`: what a directory is on here. What is the same both ways is told once, by the host first by name."""
    lines = list(_shared(own, peer, place_at))
    ours, theirs = own.reach.facts, peer.reach.facts
    if own.reach.host < peer.reach.host and ours is not None and theirs is not None:
        lines += [*_alike(own, peer, ours, theirs), *_cpu(own, peer, ours, theirs)]
    return tuple(lines)


def _alike(own: HostSheet, peer: HostSheet, ours: HostFacts, theirs: HostFacts) -> Iterator[Diagnosis]:
    host, name, findings = own.reach.host, peer.reach.host, []
    qemu = _user(theirs.qemu_uid, theirs.qemu_gid), _user(ours.qemu_uid, ours.qemu_gid)
    if "" not in qemu and qemu[0] != qemu[1]:
        findings.append(QEMU_USERS_DIFFER.finding(host, peer=name, source_user=qemu[0], dest_user=qemu[1]))
    service = _user(theirs.service_uid, theirs.service_gid), _user(ours.service_uid, ours.service_gid)
    if "" not in service and service[0] != service[1]:
        findings.append(
            SERVICE_USER_DIFFERS.finding(host, source=name, source_user=service[0], dest_user=service[1])
        )
    if (
        theirs.security_models
        and ours.security_models
        and set(theirs.security_models) != set(ours.security_models)
    ):
        findings.append(
            SECURITY_MODEL_DIFFERS.finding(
                host,
                source=name,
                source_models=", ".join(theirs.security_models),
                dest_models=", ".join(ours.security_models),
            )
        )
    if theirs.lock_manager != ours.lock_manager:
        findings.append(
            LOCK_MANAGER_DIFFERS.finding(
                host,
                source=name,
                source_manager=theirs.lock_manager or _NO_LOCK_MANAGER,
                dest_manager=ours.lock_manager or _NO_LOCK_MANAGER,
            )
        )
    versions = _versions(ours), _versions(theirs)
    if versions[0] != versions[1]:
        (version, libvirt), (peer_version, peer_libvirt) = versions
        findings.append(
            VERSIONS_DIFFER.finding(
                host,
                peer=name,
                version=version,
                libvirt=libvirt,
                peer_version=peer_version,
                peer_libvirt=peer_libvirt,
            )
        )
    if own.version != peer.version:
        findings.append(
            AGENT_VERSIONS_DIFFER.finding(host, peer=name, version=own.version, peer_version=peer.version)
        )
    yield from ALIKE.all_found(findings, host=host, peer=name)
    if not findings:
        yield ALIKE.passed("Users, locks, security models and versions are the same.", host=host, peer=name)


def _cpu(own: HostSheet, peer: HostSheet, ours: HostFacts, theirs: HostFacts) -> Iterator[Diagnosis]:
    host, name = own.reach.host, peer.reach.host
    if not ours.host_cpu_xml or not theirs.host_cpu_xml:
        yield CPU.passed("Not known of both.", host=host, peer=name)
        return
    found = differences(host_cpu(ours.host_cpu_xml), host_cpu(theirs.host_cpu_xml))
    if found:
        finding = CPUS_DIFFER.finding(host, peer=name, differences="; ".join(found))
        yield CPU.found(finding, host=host, peer=name)
    else:
        yield CPU.passed(f"Both are {ours.cpu_model}.", host=host, peer=name)


def _shared(own: HostSheet, peer: HostSheet, place_at: Callable[[str], Place]) -> Iterator[Diagnosis]:
    """Of each place that the peer has told of; of one that both have told of, once."""
    host, name = own.reach.host, peer.reach.host
    told_by_us = {place.path for place in own.places}
    for there in peer.places:
        if there.path in told_by_us and name < host:
            continue
        here = place_at(there.path)
        is_remote = [place.file_system not in LOCAL_FILE_SYSTEMS for place in (here, there)]
        if not any(is_remote):
            yield SHARED.passed(
                f"{there.path} is each host's own: its disks are copied.", host=host, peer=name
            )
        elif (here.file_system, here.source) == (there.file_system, there.source):
            yield SHARED.passed(f"{there.path} is {here.source} on both.", host=host, peer=name)
        else:
            yield SHARED.found(
                PLACE_DIFFERS.finding(
                    host,
                    peer=name,
                    path=there.path,
                    file_system=here.file_system,
                    source=here.source,
                    peer_file_system=there.file_system,
                    peer_source=there.source,
                    remedy=there.source if is_remote[1] else here.source,
                ),
                host=host,
                peer=name,
            )


def _versions(facts: HostFacts) -> tuple[str, str]:
    return version_text(facts.hypervisor_version), version_text(facts.libvirt_version)


def _user(uid: int | None, gid: int | None) -> str:
    return "" if uid is None or gid is None else f"{uid}:{gid}"
