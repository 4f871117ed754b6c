"""The network of several hosts in memory: each has every name, and reaches every port that another one holds open."""

from compute_agent.errors import NetworkError

LIBVIRTD_PORT = 16509


class FakeListener:
    def __init__(self, listening: set[int], port: int) -> None:
        self._listening, self._port = listening, port
        listening.add(port)

    def close(self) -> None:
        self._listening.discard(self._port)


class FakeNetwork:
    """See `compute_agent.network.Network`. Tests change `unknown` names, `closed` and `taken` ports, `absent` addresses."""

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self.closed: set[int] = set()
        self.taken: set[int] = set()
        self.absent: set[str] = set()
        self.addresses: dict[str, str] = {}  # of names that have others than the rest
        self.listening: set[int] = set()
        self.reached: list[tuple[str, int]] = []

    def resolve(self, name: str) -> tuple[str, ...]:
        if name in self.unknown:
            raise NetworkError(reason="Name or service not known")
        return (self.addresses.get(name, "192.0.2.1"),)

    def connect(self, address: str, port: int) -> None:
        self.reached.append((address, port))
        if port in self.closed or (port != LIBVIRTD_PORT and port not in self.listening):
            raise NetworkError(reason="Connection refused")

    def has_address(self, address: str) -> bool:
        return address not in self.absent

    def listen(self, port: int) -> FakeListener | None:
        return None if port in self.taken | self.listening else FakeListener(self.listening, port)
