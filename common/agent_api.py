"""How a conductor speaks to a compute agent: casts only. The agent's endpoint implements exactly these names.

A cast may be lost; the sweeper sends it again. Each method raises BusError if the broker is away.
"""

from common.envelope import Interface
from common.identity import Kind
from common.migration import Acknowledgement, Command
from common.rpc import Bus

TOPIC_PREFIX = "limosa-compute"


def interface(host: str) -> Interface:
    """The agent of one host: each has a topic of its own, so that a broker can tell who may read it."""
    return Interface(
        name="compute-agent", topic=f"{TOPIC_PREFIX}.{host}", minor=1, server=Kind.HOST, server_name=host
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

    def _cast(self, host: str, method: str, *arguments: object) -> None:
        self._bus.client(interface(host)).cast(method, *arguments)
