"""The managed networks of one host in memory: what keeps them, its links, its domains, and guests that come."""

from pathlib import Path

from common.errors import ServiceUnreachableError
from common.network_views import HostNetworks
from common.transfer import ManagedNetwork
from compute_agent.managed_networks import KnownNetworks, NetworkKeeper, StandingNetworks
from compute_agent.network_settings import NetworkSettings
from compute_agent.preparing.arrivals import ArrivalRecord, Arrivals
from tests.fakes.domain import guest_xml
from tests.fakes.host import FakeClock
from tests.fakes.hypervisor import FakeHypervisor, FakeWorld
from tests.fakes.links import FakeLinks

ADDRESS = "10.77.0.12"
OTHERS = ("10.77.0.11", "10.77.0.13")

RED = ManagedNetwork(
    name="red", kind="vxlan", bridge="br-red", segment=4242, mtu=1450, properties={"port": "4789"}
)
BLUE = ManagedNetwork(
    name="blue", kind="vlan", bridge="br-blue", segment=100, mtu=1500, properties={"physical": "data"}
)


def interface_in(bridge: str) -> str:
    return f"<interface type='bridge'><source bridge='{bridge}'/></interface>"


class NetworkHost:
    """It has the devices eth0, with its tunnel address, and eth1, which it calls data."""

    def __init__(self, state_path: Path, *, settings: NetworkSettings | None = None) -> None:
        self.state_path = state_path
        self.links = FakeLinks()
        self.links.add("eth0")
        self.links.add("eth1", mtu=9000)
        self.links.addresses[ADDRESS] = "eth0"
        self.hypervisor: FakeHypervisor = FakeWorld("compute2").hosts["compute2"]
        self.settings = settings or NetworkSettings(vtep_address=ADDRESS, physical_mappings={"data": "eth1"})
        self.declared = HostNetworks(networks=(RED, BLUE), vteps=OTHERS)
        self.is_conductor_away = False
        self.changes = 0
        self.clock = FakeClock()
        self.start_agent()
        self.keeper.pull()

    def start_agent(self) -> None:
        """What is in memory only is lost."""
        self.arrivals = Arrivals(self.state_path)
        self.standing = StandingNetworks(self.links, self.settings)
        self.keeper = NetworkKeeper(
            self.standing,
            KnownNetworks(self.state_path, self, host="compute2"),
            hypervisor=self.hypervisor,
            arrivals=self.arrivals,
            vtep_address=self.settings.vtep_address,
            clock=self.clock,
        )

        def changed() -> None:
            self.changes += 1

        self.keeper.on_change = changed

    def networks_of_host(self, host: str) -> HostNetworks:
        """As `common.conductor_api.ConductorAPI` has it."""
        if self.is_conductor_away:
            raise ServiceUnreachableError(timeout_s=5, bus="rabbit://")
        return self.declared

    def guest_comes(self, migration: str = "m1", *, network: ManagedNetwork = RED) -> ArrivalRecord:
        record = self.arrivals.open(migration, instance="1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f")
        self.keeper.bring(network, record)
        return record

    def add_guest(self, name: str, *, bridge: str = "br-red", is_running: bool = True) -> str:
        domain = self.hypervisor.add_guest(
            guest_xml(name, devices=interface_in(bridge)), is_running=is_running
        )
        return domain.uuid

    def remove_guest(self, uuid: str) -> None:
        self.hypervisor.destroy(uuid)
        self.hypervisor.undefine(uuid)

    @property
    def made(self) -> set[str]:
        return {link.name for link in self.links.all()} - {"eth0", "eth1"}
