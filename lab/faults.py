"""Kill, stop, start, pause and resume single processes of the lab, each known exactly."""

import signal
from enum import StrEnum
from pathlib import Path

from lab import broker, libvirtd, network, services
from lab.errors import LabError
from lab.namespaces import Namespaces
from lab.paths import LabPaths
from lab.processes import Process
from lab.waiting import wait_until

GONE_TIMEOUT_S = 30.0
PAUSE_TIMEOUT_S = 5.0


class Victim(StrEnum):
    """What can be killed, stopped, started, paused and resumed."""

    AGENT = "agent"
    LIBVIRTD = "libvirtd"
    QEMU = "qemu"
    CONDUCTOR = "conductor"
    RABBITMQ = "rabbitmq"


_SERVICE = {
    Victim.AGENT: services.AGENT,
    Victim.CONDUCTOR: services.CONDUCTOR,
    Victim.LIBVIRTD: libvirtd.SERVICE,
}


def lives_on_controller(victim: Victim) -> bool:
    return victim in (Victim.CONDUCTOR, Victim.RABBITMQ)


def process_of(host: Namespaces, victim: Victim, *, guest: str | None = None) -> Process:
    """Return the one process meant; raises LabError when it does not run."""
    if victim is Victim.QEMU:
        return _qemu(host, guest)
    if victim is Victim.RABBITMQ:
        return broker.node(host)
    return host.spawned(_SERVICE[victim])


def end(host: Namespaces, victim: Victim, *, guest: str | None = None, with_signal: signal.Signals) -> None:
    """Send SIGKILL (a crash) or SIGTERM (an orderly stop) and return when the process is gone."""
    process = process_of(host, victim, guest=guest)
    process.send(with_signal)
    if not process.wait_until_gone(timeout_s=GONE_TIMEOUT_S):
        raise LabError(f"{host.name}: {victim} still runs {GONE_TIMEOUT_S:.0f} s after {with_signal.name}")


def pause(host: Namespaces, victim: Victim, *, guest: str | None = None) -> None:
    """Make it hang (SIGSTOP): it lives, keeps its connections, and does nothing until it is resumed."""
    process = process_of(host, victim, guest=guest)
    process.send(signal.SIGSTOP)
    wait_until(process.is_paused, what=f"{host.name}: {victim} hangs", timeout_s=PAUSE_TIMEOUT_S)


def resume(host: Namespaces, victim: Victim, *, guest: str | None = None) -> None:
    """Let it go on (SIGCONT) as if nothing had been, but for the time that has passed."""
    process_of(host, victim, guest=guest).send(signal.SIGCONT)


def start(host: Namespaces, victim: Victim, *, paths: LabPaths) -> None:
    """Start what was killed or stopped; libvirtd and RabbitMQ answer when this returns."""
    if victim is Victim.QEMU:
        raise LabError("a guest is started with libvirt", hint=f"lab/ctl exec {host.name} virsh start NAME")
    if _is_running(host, victim):
        raise LabError(f"{host.name}: {victim} runs already")
    if victim is Victim.RABBITMQ:
        broker.start(host, paths=paths)
    elif victim is Victim.LIBVIRTD:
        libvirtd.start(host)
    else:
        services.start(host, _SERVICE[victim])


def _is_running(host: Namespaces, victim: Victim) -> bool:
    try:
        return process_of(host, victim).is_alive()
    except LabError:
        return False


def _qemu(host: Namespaces, guest: str | None) -> Process:
    directory = host.seen_from_outside(Path("/run/libvirt/qemu"))
    names = sorted(path.stem for path in directory.glob("*.pid") if path.stem != "driver")
    if guest is None and len(names) != 1:
        raise LabError(f"{host.name} runs {len(names)} guests: say which", hint=" ".join(names))
    name = guest or names[0]
    if name not in names:
        raise LabError(f"{host.name} runs no guest {name}", hint=f"it runs: {' '.join(names) or 'none'}")
    process = host.processes().get(int((directory / f"{name}.pid").read_text()))
    if process is None:
        raise LabError(f"{host.name}: the QEMU of {name} is gone already")
    return process


def host_of(victim: Victim, host: str | None) -> str:
    """Return the host that a fault is meant for, and refuse what makes no sense."""
    if lives_on_controller(victim):
        return network.CONTROLLER
    if host is None or not network.is_compute(host):
        raise LabError(f"{victim} lives on a compute host", hint=f"as in: lab/ctl kill compute1 {victim}")
    return host
