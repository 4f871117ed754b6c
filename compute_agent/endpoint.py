"""What a compute agent answers on the bus: exactly the names of `common.agent_api.AgentAPI`.

What is cast returns at once; what is called takes as long as its checks.
"""

import logging
import re

from common import log
from common.connections import ConnectionBatch
from common.context import Context
from common.diagnosis import BaselineCpu, Diagnosis, HostDiagnosis, HostSheet
from common.dispatch import exposed
from common.filtering import FilteringInForce
from common.migration import (
    Acknowledgement,
    CheckDestArguments,
    CheckSourceArguments,
    Command,
    Examination,
)
from compute_agent.asking import Asking
from compute_agent.desk import Desks
from compute_agent.discovery import Discovery
from compute_agent.doctor.asked import Doctor
from compute_agent.errors import InvalidCommandError
from compute_agent.filtering import Firewall
from compute_agent.managed_networks import NetworkWatch

_FILE_NAME = re.compile(r"[0-9A-Za-z-]{1,64}")  # a migration's id becomes part of files' names

LOG = logging.getLogger(__name__)


class AgentEndpoint:
    """Orders of the conductors."""

    def __init__(
        self,
        desks: Desks,
        discovery: Discovery,
        asking: Asking,
        firewall: Firewall,
        networks: NetworkWatch,
        doctor: Doctor,
        *,
        host: str,
    ) -> None:
        self._desks = desks
        self._discovery = discovery
        self._asking = asking
        self._firewall = firewall
        self._networks = networks
        self._doctor = doctor
        self._host = host

    @exposed
    def execute(self, _context: Context, command: Command) -> None:
        """Accept a command, or not; its outcome is sent later, and repeated until it is acknowledged."""
        if command.host != self._host or not _FILE_NAME.fullmatch(command.migration):
            reason = f"it is for {command.host}, migration {command.migration:.80}"
            raise InvalidCommandError(verb=command.verb, instance=f"{command.instance:.80}", reason=reason)
        with log.fields(migration=command.migration, instance=command.instance):
            self._desks.of(command.instance).execute(command)

    @exposed
    def acknowledge(self, _context: Context, acknowledgements: tuple[Acknowledgement, ...]) -> None:
        for acknowledgement in acknowledgements:
            self._desks.of(acknowledgement.instance).acknowledge(acknowledgement)

    @exposed
    def request_report(self, _context: Context) -> None:
        self._discovery.request_full_report()

    # ---- networks and firewall

    @exposed
    def refresh_networks(self, _context: Context) -> None:
        self._networks.refresh()

    @exposed
    def refresh_filtering(self, _context: Context) -> None:
        self._firewall.refresh()

    @exposed
    def show_filtering(self, _context: Context, instance: str) -> FilteringInForce:
        return self._firewall.show(instance)

    @exposed
    def take_connections(self, _context: Context, batch: ConnectionBatch) -> None:
        self._firewall.take_connections(batch)

    # ---- limosa check

    @exposed
    def examine_destination(
        self, _context: Context, check: str, instance: str, arguments: CheckDestArguments
    ) -> Examination:
        if not _FILE_NAME.fullmatch(check):
            raise InvalidCommandError(
                verb="check", instance=f"{instance:.80}", reason=f"its id is {check:.80}"
            )
        return self._asking.examine_destination(check, instance, arguments)

    @exposed
    def examine_source(
        self, _context: Context, instance: str, arguments: CheckSourceArguments
    ) -> Examination:
        return self._asking.examine_source(instance, arguments)

    @exposed
    def forget_probes(self, _context: Context, check: str) -> None:
        if not _FILE_NAME.fullmatch(check):
            raise InvalidCommandError(verb="check", instance="", reason=f"its id is {check:.80}")
        self._asking.forget_probes(check)

    # ---- limosa doctor, limosa cpu-baseline

    @exposed
    def diagnose_host(self, _context: Context, check: str) -> HostDiagnosis:
        if not _FILE_NAME.fullmatch(check):
            raise InvalidCommandError(verb="doctor", instance="", reason=f"its id is {check:.80}")
        return self._doctor.diagnose_host(check)

    @exposed
    def diagnose_peers(
        self, _context: Context, own: HostSheet, peers: tuple[HostSheet, ...]
    ) -> tuple[Diagnosis, ...]:
        return self._doctor.diagnose_peers(own, peers)

    @exposed
    def offered_cpu(self, _context: Context) -> str:
        return self._doctor.offered_cpu()

    @exposed
    def baseline_cpu(self, _context: Context, cpus: tuple[str, ...]) -> BaselineCpu:
        return self._doctor.baseline_cpu(cpus)
