"""A host's links in memory: what `compute_agent.links.Links` says of them, and `compute_agent.link_making` makes."""

from collections.abc import Iterable
from dataclasses import replace

from compute_agent.errors import LinkError
from compute_agent.link_making import NewLink
from compute_agent.links import BRIDGE, TAP, VXLAN, Forwarding, Link

MTU = 1500


class FakeLinks:
    """See `compute_agent.links.Links` and `compute_agent.link_making.LinkMaker`. Tests `add` links, and let them learn."""

    def __init__(self) -> None:
        self.links: dict[str, Link] = {}
        self.remotes: dict[tuple[str, str], str] = {}  # (VXLAN device, MAC): address
        self.made: dict[str, NewLink] = {}
        self.make_fails_for = ""  # name of a link
        self.addresses: dict[str, str] = {}  # address: link that has it
        self.floods: dict[str, set[str]] = {}  # VXLAN device: where it sends what is for everybody
        self.problem = ""  # what every look fails with
        self._ports: dict[tuple[str, str], str] = {}  # (bridge, MAC): port

    def add(self, name: str, kind: str = "", *, mtu: int = MTU, master: str = "") -> Link:
        index = len(self.links) + 1
        link = Link(
            name=name,
            index=index,
            kind=kind,
            mtu=mtu,
            mac=f"02:00:00:00:00:{index:02x}",
            is_up=True,
            master=master,
        )
        self.links[name] = link
        return link

    def add_bridge(self, name: str, *, uplink: str, mtu: int = MTU) -> None:
        self.add(name, BRIDGE, mtu=mtu)
        self.add(uplink, master=name, mtu=mtu)

    def add_tap(self, name: str, *, bridge: str) -> None:
        self.add(name, TAP, master=bridge)

    def remove(self, name: str) -> None:
        del self.links[name]
        self._ports = {key: port for key, port in self._ports.items() if port != name}

    def change(self, name: str, *, master: str) -> None:
        self.links[name] = replace(self.links[name], master=master)

    # ---- the Protocol

    def all(self) -> tuple[Link, ...]:
        self._fail()
        return tuple(self.links.values())

    def find(self, name: str) -> Link | None:
        self._fail()
        return self.links.get(name)

    def forwarding(self, mac: str, *, bridge: str) -> Forwarding | None:
        self._need(bridge)
        port = self._ports.get((bridge, mac.lower()))
        return Forwarding(mac=mac.lower(), port=port) if port else None

    def remote(self, mac: str, *, vxlan: str) -> Forwarding | None:
        if self._need(vxlan).kind != VXLAN:
            raise LinkError(reason="Operation not supported")
        remote = self.remotes.get((vxlan, mac.lower()))
        return Forwarding(mac=mac.lower(), port=vxlan, remote=remote) if remote else None

    def learn(self, mac: str, *, port: str) -> None:
        master = self._need(port).master
        if not master:
            raise LinkError(reason="Operation not supported")
        self._ports[master, mac.lower()] = port

    def make(self, wanted: NewLink) -> None:
        self._fail()
        if wanted.device:
            self._need(wanted.device)
        if wanted.name == self.make_fails_for:
            raise LinkError(reason="No buffer space available")
        if wanted.name in self.links:
            raise LinkError(reason="File exists")
        self.add(wanted.name, wanted.kind, mtu=wanted.mtu)
        self.links[wanted.name] = replace(self.links[wanted.name], alias=wanted.alias)
        self.made[wanted.name] = wanted

    def join(self, name: str, *, bridge: str) -> None:
        self._need(name)
        self._need(bridge)
        self.change(name, master=bridge)

    def remove_ours(self, name: str, *, alias: str) -> bool:
        self._fail()
        if name not in self.links:
            return False
        if self.links[name].alias != alias:
            raise LinkError(reason=f"{name} is not ours")
        self.remove(name)
        return True

    def remove_unfinished(self) -> None:
        self._fail()

    def flood_to(self, vxlan: str, addresses: Iterable[str]) -> None:
        self._need(vxlan)
        self.floods[vxlan] = set(addresses)

    def flooded(self, vxlan: str) -> tuple[str, ...]:
        self._need(vxlan)
        return tuple(sorted(self.floods.get(vxlan, ())))

    def device_of(self, address: str) -> Link | None:
        self._fail()
        name = self.addresses.get(address)
        return self.links.get(name) if name else None

    def _need(self, name: str) -> Link:
        self._fail()
        if name not in self.links:
            raise LinkError(reason=f"there is no link {name}")
        return self.links[name]

    def _fail(self) -> None:
        if self.problem:
            raise LinkError(reason=self.problem)
