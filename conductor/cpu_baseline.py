"""`limosa cpu-baseline`: the CPU that all of some hosts can give a guest."""

from common.agent_api import AgentAPI
from common.diagnosis import BaselineView
from common.errors import HostSilentError, InvalidRequestError, NoBaselineError, ServiceUnreachableError
from conductor.abreast import ask_abreast
from conductor.db.engine import Database
from conductor.doctor import HOSTS_AT_ONCE, named_hosts

CPU_TIMEOUT_S = 35.0  # the first look at a QEMU's CPUs starts it


class CpuBaseline:
    """Asks the agents: each what it offers, the first what is common to all of it."""

    def __init__(self, database: Database, agents: AgentAPI) -> None:
        self._database = database
        self._agents = agents

    def of(self, names: tuple[str, ...]) -> BaselineView:
        """Raises NoBaselineError, HostSilentError, HostNotFoundError, InvalidRequestError."""
        if not names:
            raise InvalidRequestError(reason="Name the hosts.")
        asked = list(named_hosts(self._database, names))
        offers = ask_abreast(
            asked,
            lambda host: self._agents.offered_cpu(host, timeout_s=CPU_TIMEOUT_S),
            at_once=HOSTS_AT_ONCE,
            timeout_s=2 * CPU_TIMEOUT_S,
        )
        cpus = []
        for host, end in offers.items():
            if end.error is not None and not isinstance(end.error, ServiceUnreachableError):
                raise end.error
            if end.result is None:
                raise HostSilentError(host=host, timeout_s=f"{CPU_TIMEOUT_S:g}") from end.error
            if not end.result:
                raise NoBaselineError(reason=f"libvirt of {host} does not tell what it would give one")
            cpus.append(end.result)
        try:
            found = self._agents.baseline_cpu(asked[0], tuple(cpus), timeout_s=CPU_TIMEOUT_S)
        except ServiceUnreachableError as error:
            raise HostSilentError(host=asked[0], timeout_s=f"{CPU_TIMEOUT_S:g}") from error
        return BaselineView(model=found.model, features=found.features, hosts=tuple(asked), xml=found.xml)
