"""Hosts whose links may be made and removed at will: the fake, and an empty network namespace of the kernel's."""

import ctypes
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol

from pyroute2 import IPRoute

from compute_agent.link_making import HostLinkMaker, LinkMaker
from compute_agent.links import VXLAN
from tests.fakes.links import FakeLinks

CLONE_NEWNET = 0x40000000
TIMEOUT_S = 10.0


class LinkSite(Protocol):
    """What a test arranges; `links` is what it asks."""

    links: LinkMaker

    def add_bridge(self, name: str, *, mtu: int) -> None: ...

    def add_port(self, name: str, *, bridge: str) -> None:
        """A port over which frames can go."""

    def add_vxlan(self, name: str) -> None: ...

    def add_device(self, name: str, address: str) -> None:
        """A device that is up and has this address, as 192.0.2.1/24."""

    def tell_vxlan(self, name: str, mac: str, remote: str) -> None: ...

    def close(self) -> None: ...


class FakeLinkSite:
    def __init__(self) -> None:
        self.links = self._fake = FakeLinks()

    def add_bridge(self, name: str, *, mtu: int) -> None:
        self._fake.add(name, "bridge", mtu=mtu)

    def add_port(self, name: str, *, bridge: str) -> None:
        self._fake.add(name, "veth", master=bridge)

    def add_vxlan(self, name: str) -> None:
        self._fake.add(name, VXLAN)

    def add_device(self, name: str, address: str) -> None:
        self._fake.add(name, "bridge")
        self._fake.addresses[address.partition("/")[0]] = name

    def tell_vxlan(self, name: str, mac: str, remote: str) -> None:
        self._fake.remotes[name, mac] = remote

    def close(self) -> None:
        pass


class KernelLinkSite:
    """One thread is in a network namespace of its own, which goes with it; all that is asked, it asks."""

    def __init__(self) -> None:
        self._calls: queue.Queue[tuple[Callable[[], Any], queue.Queue[Any]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self.links = HostLinkMaker(self.run)

    def add_bridge(self, name: str, *, mtu: int) -> None:
        def add(netlink: Any) -> None:
            netlink.link("add", ifname=name, kind="bridge", state="up")
            (index,) = netlink.link_lookup(ifname=name)
            # Not with `add`: then the bridge takes another one from its first port.
            netlink.link("set", index=index, mtu=mtu)

        self._netlink(add)

    def add_port(self, name: str, *, bridge: str) -> None:
        def add(netlink: Any) -> None:
            netlink.link("add", ifname=name, kind="veth", peer=f"{name}-peer")
            (master,) = netlink.link_lookup(ifname=bridge)
            (port,) = netlink.link_lookup(ifname=name)
            (peer,) = netlink.link_lookup(ifname=f"{name}-peer")
            netlink.link("set", index=peer, state="up")
            netlink.link("set", index=port, master=master, state="up")

        self._netlink(add)

    def add_vxlan(self, name: str) -> None:
        self._netlink(
            lambda netlink: netlink.link(
                "add", ifname=name, kind="vxlan", vxlan_id=42, vxlan_port=4789, vxlan_local="192.0.2.1"
            )
        )

    def add_device(self, name: str, address: str) -> None:
        def add(netlink: Any) -> None:
            netlink.link("add", ifname=name, kind="bridge", state="up")
            (index,) = netlink.link_lookup(ifname=name)
            netlink.addr("add", index=index, address=address)

        self._netlink(add)

    def tell_vxlan(self, name: str, mac: str, remote: str) -> None:
        def tell(netlink: Any) -> None:
            (index,) = netlink.link_lookup(ifname=name)
            netlink.fdb("append", ifindex=index, lladdr=mac, dst=remote)

        self._netlink(tell)

    def close(self) -> None:
        self._calls.put(None)
        self._thread.join(TIMEOUT_S)

    def _netlink(self, operation: Callable[[Any], object]) -> None:
        def call() -> None:
            with IPRoute() as netlink:
                operation(netlink)

        self.run(call)

    def run(self, call: Callable[[], Any]) -> Any:
        """In the thread that is in the namespace."""
        answer: queue.Queue[Any] = queue.Queue()
        self._calls.put((call, answer))
        result = answer.get(timeout=TIMEOUT_S)
        if isinstance(result, Exception):
            raise result
        return result

    def _work(self) -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        while (item := self._calls.get()) is not None:
            call, answer = item
            try:
                answer.put(call())
            except Exception as error:  # noqa: BLE001 (raised again where it was asked)
                answer.put(error)
