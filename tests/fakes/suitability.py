"""The half of the fake hypervisor that answers what a guest from elsewhere would meet on its host."""

from collections.abc import Callable

from common.facts import GuestFacts
from compute_agent.hypervisor.looks import CpuComparison, HostResources, MachineFit, Offer
from compute_agent.hypervisor.xml_text import XmlText

EMULATOR = "/usr/bin/qemu-system-x86_64"
MACHINES = ("pc-i440fx-7.2", "pc", "pc-q35-7.2", "q35", "pc-i440fx-7.1", "pc-i440fx-6.2")


class FakeSuitability:
    """Tests change the fields at will."""

    def __init__(self, require_up: Callable[[], None]) -> None:
        self.ways = [Offer(arch="x86_64", domain_type="qemu", emulator=EMULATOR, machines=MACHINES)]
        self.emulators = {EMULATOR}
        self.cpu_models = {"qemu64", "Westmere"}
        self.cpu_features = {"hypervisor", "lahf_lm", "aes"}
        self.networks: dict[str, bool] = {}  # whether it is active
        self.bridges: dict[str, str] = {}  # by network; one that is not named has none
        self.nwfilters: list[str] = []
        self.secrets: dict[str, str] = {}  # usage by uuid
        self._require_up = require_up

    def offers(self) -> tuple[Offer, ...]:
        self._require_up()
        return tuple(self.ways)

    def machine_fit(self, guest: GuestFacts) -> MachineFit:
        ways = [way for way in self.offers() if (way.arch, way.domain_type) == (guest.arch, guest.hypervisor)]
        if not ways:
            return MachineFit.NO_DOMAIN_TYPE
        if guest.emulator and guest.emulator not in self.emulators:
            return MachineFit.NO_EMULATOR
        is_known = not guest.machine or any(guest.machine in way.machines for way in ways)
        return MachineFit.FITS if is_known else MachineFit.NO_MACHINE

    def compare_cpu(self, guest: GuestFacts) -> CpuComparison:
        self._require_up()
        if not guest.cpu_xml:
            return CpuComparison(is_compatible=True)
        cpu = XmlText.parse(guest.cpu_xml).root
        model = cpu.text_of("model")
        if model and model not in self.cpu_models:
            return CpuComparison(is_compatible=False, reason=f"Unknown CPU model {model}")
        required = {
            feature.get("name") for feature in cpu.find_all("feature") if feature.get("policy") == "require"
        }
        missing = tuple(sorted(required - self.cpu_features))
        reason = f"required features: {', '.join(missing)}" if missing else ""
        return CpuComparison(is_compatible=not missing, reason=reason, missing=missing)

    def resources(self) -> HostResources:
        self._require_up()
        return HostResources(
            networks_active=tuple(name for name, is_active in self.networks.items() if is_active),
            networks_inactive=tuple(name for name, is_active in self.networks.items() if not is_active),
            network_bridges=tuple(pair for pair in self.bridges.items() if self.networks.get(pair[0])),
            nwfilters=tuple(self.nwfilters),
            secrets=tuple(name for pair in self.secrets.items() for name in pair if name),
        )
