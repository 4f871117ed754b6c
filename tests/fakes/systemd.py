"""systemd for libvirt-setup: what was enabled, and what would have been run."""

from collections.abc import Sequence
from pathlib import Path

from compute_agent.libvirt_setup.model import Daemon


class FakeSystemd:
    def __init__(self) -> None:
        self.enabled: list[str] = []
        self.disabled: list[str] = []
        self.commands: list[tuple[str, ...]] = []
        self.error: Exception | None = None

    def at(self, _root: Path) -> "FakeSystemd":
        return self

    def enable(self, unit: str) -> None:
        if self.error is not None:
            raise self.error
        self.enabled.append(unit)

    def disable(self, unit: str) -> None:
        self.disabled.append(unit)
        if unit in self.enabled:
            self.enabled.remove(unit)

    def restart(self, commands: Sequence[Sequence[str]]) -> None:
        self.commands += [tuple(command) for command in commands]

    def reload_certificates(self, daemon: Daemon) -> bool:
        self.commands.append(("reload", str(daemon)))
        return True
