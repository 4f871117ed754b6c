"""What a family of the doctor's questions is given, and how it answers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from common.diagnosis import Diagnosis, Question
from compute_agent.hypervisor.driver import Hypervisor
from compute_agent.network import Network
from compute_agent.settings import Settings

CONF_MAX_CHARS = 1_000_000  # of one of libvirt's files; Debian's, all comments, have some 40,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Of what is looked at besides what the configuration names; tests have a root of their own."""

    hooks: Path = Path("/etc/libvirt/hooks")
    run: Path = Path("/run")
    proc: Path = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLook:
    """This host. `settings` are the defaults where nothing is configured yet."""

    hypervisor: Hypervisor
    network: Network
    settings: Settings
    paths: Paths = field(default_factory=Paths)

    @property
    def host(self) -> str:
        return self.settings.host


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One question, and how this host answers it. It may raise: that becomes a line."""

    question: Question
    answer: Callable[[HostLook], Iterable[Diagnosis]]


def text_of(conf: Path) -> str:
    """One of libvirt's files; nothing but defaults where there is none, or it may not be read."""
    try:
        with conf.open(encoding="utf-8", errors="replace") as file:
            return file.read(CONF_MAX_CHARS)
    except OSError:
        return ""
