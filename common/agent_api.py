"""How a conductor speaks to a compute agent. The agent's endpoint implements exactly these names.

A migration is driven by casts. A cast may be lost; the sweeper sends it again. They raise BusError if the broker is away.
Only what belongs to no migration is called: those raise ServiceUnreachableError when the time has passed.
"""

from common.broker_names import command_queue
from common.connections import ConnectionBatch
from common.diagnosis import BaselineCpu, Diagnosis, HostDiagnosis, HostSheet
from common.envelope import Interface
from common.filtering import FilteringInForce
from common.identity import Kind
from common.migration import (
    Acknowledgement,
    CheckDestArguments,
    CheckSourceArguments,
    Command,
    Examination,
)
from common.rpc import Bus


def interface(host: str) -> Interface:
    """The agent of one host: each has a topic of its own, so that a broker can tell who may read it."""
    return Interface(
        name="compute-agent", topic=command_queue(host), minor=1, server=Kind.HOST, server_name=host
    )


class AgentAPI:
    """Orders to the agents of all hosts."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def execute(self, command: Command) -> None:
        """Send a command to the host that it names."""
        self._cast(command.host, "execute", command)

    def acknowledge(self, host: str, acknowledgements: tuple[Acknowledgement, ...]) -> None:
        """Tell the host that these outcomes are recorded, or dropped for good."""
        self._cast(host, "acknowledge", acknowledgements)

    def request_report(self, host: str) -> None:
        """Ask for a full report of the host's guests and facts."""
        self._cast(host, "request_report")

    def refresh_networks(self, host: str) -> None:
        """What the host knows of managed networks is old: it asks `ConductorAPI.networks_of_host`."""
        self._cast(host, "refresh_networks")

    def forget_probes_later(self, host: str, check: str) -> None:
        """`forget_probes` for an agent that does not answer: it reads this when it reads again."""
        self._cast(host, "forget_probes", check)

    def refresh_filtering(self, host: str) -> None:
        """Have the host ask for the rules of its guests (`ConductorAPI.filtering_of_host`): some have changed."""
        self._cast(host, "refresh_filtering")

    def take_connections(self, host: str, batch: ConnectionBatch) -> None:
        """Have the dest of a migration know the connections that its guest has on its source."""
        self._cast(host, "take_connections", batch)

    # ---- calls

    def examine_destination(
        self, host: str, check: str, instance: str, arguments: CheckDestArguments, *, timeout_s: float
    ) -> Examination:
        """What speaks against this dest. `check` is an id under which it keeps probes until `forget_probes`."""
        return self._bus.client(interface(host)).call(
            "examine_destination", check, instance, arguments, kind=Examination, timeout_s=timeout_s
        )

    def examine_source(
        self, host: str, instance: str, arguments: CheckSourceArguments, *, timeout_s: float
    ) -> Examination:
        """What speaks against moving the guest to that dest; reads its probes."""
        return self._bus.client(interface(host)).call(
            "examine_source", instance, arguments, kind=Examination, timeout_s=timeout_s
        )

    def forget_probes(self, host: str, check: str, *, timeout_s: float) -> None:
        """Remove what `examine_destination` made under this id; an agent that is not asked does it some minutes later."""
        self._bus.client(interface(host)).call("forget_probes", check, kind=type(None), timeout_s=timeout_s)

    def show_filtering(self, host: str, instance: str, *, timeout_s: float) -> FilteringInForce:
        """What that host filters of this guest at this moment."""
        return self._bus.client(interface(host)).call(
            "show_filtering", instance, kind=FilteringInForce, timeout_s=timeout_s
        )

    # ---- limosa doctor, limosa cpu-baseline

    def diagnose_host(self, host: str, check: str, *, timeout_s: float) -> HostDiagnosis:
        """What it says of itself; it holds ports open under this id until `forget_probes`."""
        return self._bus.client(interface(host)).call(
            "diagnose_host", check, kind=HostDiagnosis, timeout_s=timeout_s
        )

    def diagnose_peers(
        self, host: str, own: HostSheet, peers: tuple[HostSheet, ...], *, timeout_s: float
    ) -> tuple[Diagnosis, ...]:
        """Its way to each of them, and what is alike on both; `own` is what it has told of itself."""
        return self._bus.client(interface(host)).call(
            "diagnose_peers", own, peers, kind=tuple[Diagnosis, ...], timeout_s=timeout_s
        )

    def offered_cpu(self, host: str, *, timeout_s: float) -> str:
        """The `<cpu>` that a guest with host-model would get there; empty: not known."""
        return self._bus.client(interface(host)).call("offered_cpu", kind=str, timeout_s=timeout_s)

    def baseline_cpu(self, host: str, cpus: tuple[str, ...], *, timeout_s: float) -> BaselineCpu:
        """What can be had wherever one of these is offered; raises NoBaselineError."""
        return self._bus.client(interface(host)).call(
            "baseline_cpu", cpus, kind=BaselineCpu, timeout_s=timeout_s
        )

    def _cast(self, host: str, method: str, *arguments: object) -> None:
        self._bus.client(interface(host)).cast(method, *arguments)
