"""What the checks ask of the host's network: names, addresses and ports, by the system's own resolver and sockets.

Under eventlet the patched ones would ask DNS by themselves and know nothing of nsswitch.conf, which libvirtd goes by. So
all of it happens in native threads, with the modules as they are without eventlet, bounded.
"""

import errno
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from common import concurrency
from compute_agent.errors import NetworkError

RESOLVE_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 3.0
CALLS_AT_ONCE = 6  # of the 20 native threads, which libvirt's calls need as well
TURN_TIMEOUT_S = 20.0
_TURN_PAUSE_S = 0.02
_MARGIN_S = 2.0  # for the native thread to begin and to end
_BACKLOG = 8

T = TypeVar("T")


class Listener(Protocol):
    """A port that is held open; nobody ever accepts on it, the kernel alone answers."""

    def close(self) -> None: ...


class Network(Protocol):
    """See `HostNetwork`; the tests' fake is the other."""

    def resolve(self, name: str) -> tuple[str, ...]:
        """The addresses of a name or an address; raises NetworkError."""

    def connect(self, address: str, port: int) -> None:
        """Reach a port and let it go again; raises NetworkError."""

    def has_address(self, address: str) -> bool:
        """Whether a server could listen on this address here; raises NetworkError for a name that is none."""

    def listen(self, port: int) -> Listener | None:
        """Hold the port open on all addresses; None if it is taken."""


class HostNetwork:
    """The real one."""

    def __init__(self) -> None:
        self._turns = _Turns(CALLS_AT_ONCE)

    def resolve(self, name: str) -> tuple[str, ...]:
        return self._call(_addresses, name, timeout_s=RESOLVE_TIMEOUT_S)

    def connect(self, address: str, port: int) -> None:
        self._call(_connect, address, port, timeout_s=CONNECT_TIMEOUT_S + _MARGIN_S)

    def has_address(self, address: str) -> bool:
        return self._call(_has_address, address, timeout_s=RESOLVE_TIMEOUT_S)

    def listen(self, port: int) -> Listener | None:
        listener: Listener | None = _listen(port)
        return listener

    def _call(self, function: Callable[..., T], *arguments: Any, timeout_s: float) -> T:
        """`timeout_s` begins when it is this call's turn: a wait for others says nothing about the network."""
        if not self._turns.take(timeout_s=TURN_TIMEOUT_S):
            raise NetworkError(
                reason=f"it was not tried: {CALLS_AT_ONCE} others have hung for {TURN_TIMEOUT_S:g} s"
            )

        def call() -> T:
            try:
                return function(*arguments)
            finally:
                self._turns.give_back()

        try:
            return concurrency.call_blocking(call, timeout_s=timeout_s)
        except concurrency.BlockingCallTimeout as error:
            if error.has_started:
                raise NetworkError(reason=f"no answer within {timeout_s:g} s") from error
            self._turns.give_back()
            raise NetworkError(reason=f"it was not tried: no thread was free for {timeout_s:g} s") from error
        except OSError as error:
            raise NetworkError(reason=_reason(error)) from error


class _Turns:
    """Leave for so many calls at a time. It is given back from native threads, and waited for from ours."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._lock = concurrency.native_rlock()

    def take(self, *, timeout_s: float) -> bool:
        """False if none became free."""
        deadline = time.monotonic() + timeout_s
        while not self._take_one():
            if time.monotonic() >= deadline:
                return False
            concurrency.sleep(_TURN_PAUSE_S)
        return True

    def give_back(self) -> None:
        with self._lock:
            self._free += 1

    def _take_one(self) -> bool:
        with self._lock:
            if not self._free:
                return False
            self._free -= 1
            return True


def _addresses(name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(info[4][0]) for info in _infos(name)))


def _infos(name: str) -> Iterable[Any]:
    socket = concurrency.native_socket()
    infos: Iterable[Any] = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return infos


def _connect(address: str, port: int) -> None:
    concurrency.native_socket().create_connection((address, port), timeout=CONNECT_TIMEOUT_S).close()


def _has_address(address: str) -> bool:
    socket = concurrency.native_socket()
    for family, kind, protocol, _, place in _infos(address):
        with socket.socket(family, kind, protocol) as server:
            try:
                server.bind(place)  # port 0: any
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
            else:
                return True
    return False


def _listen(port: int) -> Any:
    socket = concurrency.native_socket()
    families = [socket.AF_INET6, socket.AF_INET] if socket.has_dualstack_ipv6() else [socket.AF_INET]
    for family in families:
        try:
            return socket.create_server(
                ("", port), family=family, backlog=_BACKLOG, dualstack_ipv6=family == socket.AF_INET6
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return None
    return None


def _reason(error: OSError) -> str:
    return str(error.strerror or error).rstrip(".")
