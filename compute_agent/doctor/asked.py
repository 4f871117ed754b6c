"""What a conductor asks this host's agent for `limosa doctor` and `limosa cpu-baseline`. Nothing here changes anything."""

import os
import time
from collections.abc import Iterator
from importlib.metadata import version

from common import concurrency
from common.checks import CHECK_FAILED
from common.diagnosis import BaselineCpu, Diagnosis, HostDiagnosis, HostSheet, Place
from common.doctor_checks import SERVICE_USER_POOR
from common.doctor_questions import AGENT, ALIKE
from common.migration import DestinationFacts
from compute_agent.checks.disk_locks import LOOK_TIMEOUT_S, mount_of
from compute_agent.doctor import pairs, places
from compute_agent.doctor.families import FAMILIES
from compute_agent.doctor.look import Family, HostLook
from compute_agent.doctor.peers import ask_peers
from compute_agent.doctor.running import ask
from compute_agent.examiner import Examiner
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.hypervisor.libvirt_errors import HypervisorError
from compute_agent.hypervisor.xml_text import XmlText
from compute_agent.network import HostNetwork
from compute_agent.settings import Settings


def answer_user(look: HostLook) -> Iterator[Diagnosis]:
    uid = os.geteuid()
    if uid:
        yield AGENT.found(SERVICE_USER_POOR.finding(look.host, uid=uid), host=look.host)
    else:
        yield AGENT.passed("The compute agent runs as root.", host=look.host)


_FAMILIES = (Family(question=AGENT, answer=answer_user), *FAMILIES)


class Doctor:
    """Answers for one host."""

    def __init__(self, hypervisor: Hypervisor, examiner: Examiner, settings: Settings) -> None:
        self._examiner = examiner
        self._look = HostLook(hypervisor=hypervisor, network=HostNetwork(), settings=settings)

    def diagnose_host(self, check: str) -> HostDiagnosis:
        """All questions about this host alone. Ports that others may try are held until `forget_probes(check)`."""
        diagnoses = ask(_FAMILIES, self._look)
        sheet = self._sheet(check)
        return HostDiagnosis(diagnoses=diagnoses, sheet=sheet, time_s=time.time())

    def diagnose_peers(self, own: HostSheet, peers: tuple[HostSheet, ...]) -> tuple[Diagnosis, ...]:
        """The way to each of them, and what is alike; `own` is what this host has told."""
        lines = list(ask_peers(self._look, tuple(peer.reach for peer in peers)))
        try:
            mounts = concurrency.call_blocking(places.read_mounts, timeout_s=LOOK_TIMEOUT_S)
        except (OSError, concurrency.BlockingCallTimeout) as error:
            failed = CHECK_FAILED.finding(self._look.host, reason=f"what is mounted: {error}")
            return (*lines, ALIKE.found(failed, host=self._look.host))

        def place_at(path: str) -> Place:
            file_system, source = mount_of(path, mounts)
            return Place(path=path, file_system=file_system, source=source)

        for peer in peers:
            lines += pairs.compare(own, peer, place_at=place_at)
        return tuple(lines)

    def offered_cpu(self) -> str:
        return self._look.hypervisor.offered_cpu()

    def baseline_cpu(self, cpus: tuple[str, ...]) -> BaselineCpu:
        xml = self._look.hypervisor.baseline_cpu(cpus)
        cpu = XmlText.parse(xml).root
        features = (f"{one.get('policy')} {one.get('name')}" for one in cpu.find_all("feature"))
        return BaselineCpu(model=cpu.text_of("model"), features=tuple(features), xml=xml.strip())

    def _sheet(self, check: str) -> HostSheet | None:
        hypervisor, settings = self._look.hypervisor, self._look.settings
        try:
            facts, identity = hypervisor.host_facts(), hypervisor.identity()
            found = places.places_of(self._look)
        except (HypervisorError, OSError, concurrency.BlockingCallTimeout):
            return None  # told by the questions of libvirt and state
        reach = DestinationFacts(
            connect_address=settings.inbound_address or settings.host,
            inbound_address=settings.inbound_address,
            host=settings.host,
            facts=facts,
            hostname=identity.hostname,
            host_uuid=identity.uuid,
            port_range=settings.migration_ports,
            ports=self._examiner.hold_ports(check),
        )
        return HostSheet(reach=reach, places=found, version=version("limosa"))
