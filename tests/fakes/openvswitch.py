"""The Open vSwitch of a host in memory."""


class FakeOpenVSwitch:
    """See `compute_agent.openvswitch.OpenVSwitch`. Tests set through which port a MAC is reached."""

    def __init__(self) -> None:
        self.ports: dict[tuple[str, str], str] = {}  # by bridge and MAC

    def port_of(self, mac: str, *, bridge: str) -> str | None:
        return self.ports.get((bridge, mac.lower()))
