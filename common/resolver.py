"""Host names under eventlet: the system's own resolver looks them up, in a native thread.

eventlet would bring a resolver of its own (dnspython): 13 MiB of memory in each service, and of all that nsswitch.conf may
name it knows /etc/hosts and DNS. The system's blocks its thread, so it gets one of those that are there to be blocked.
"""

import socket
from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType
from typing import Any

RESOLVE_TIMEOUT_S = 30.0  # glibc itself gives up a name server that is silent after some 10 s

Addresses = list[tuple[Any, ...]]


def install(
    modules: Iterable[ModuleType],
    *,
    is_native_thread: Callable[[], bool],
    run_blocking: Callable[[Callable[[], Addresses]], Addresses],
) -> None:
    """Make these modules' `getaddrinfo` leave its waiting to `run_blocking`, which raises TimeoutError.

    A native thread, whom nobody waits behind, calls the system's at once.
    """
    systems = socket.getaddrinfo

    def getaddrinfo(*arguments: Any, **more: Any) -> Addresses:
        look_up = partial(systems, *arguments, **more)
        if is_native_thread():
            return look_up()
        try:
            return run_blocking(look_up)
        except TimeoutError as error:
            raise socket.gaierror(socket.EAI_AGAIN, "the name could not be looked up in time") from error

    for module in modules:
        module.getaddrinfo = getaddrinfo  # type: ignore[attr-defined]
