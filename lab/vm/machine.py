"""One machine: QEMU with the role's disk below an overlay of its own, and a way to run commands in it."""

import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import waiting
from lab.errors import LabError, last_lines
from lab.namespaces import Namespaces
from lab.processes import Process
from lab.vm import network

MEMORY_MIB = 1024
BOOT_TIMEOUT_S = 300.0  # 25 s alone on two cores
COMMAND_TIMEOUT_S = 300.0
_CONNECT_TIMEOUT_S = 20
_POLL_INTERVAL_S = 1.0
_LOG_TAIL_BYTES = 4000
_SOCKETS = Path("/run/limosa-lab")  # in the switch's own /run


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    name: str
    disk: Path  # what every machine of the role starts from; it is only read
    kernel: Path
    initrd: Path
    directory: Path  # the machine's own: its overlay and the log of its serial console

    @property
    def overlay(self) -> Path:
        return self.directory / "disk.qcow2"

    @property
    def console_log(self) -> Path:
        return self.directory / "console.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that was started, seen from the switch."""

    name: str
    switch: Namespaces
    ssh_config: Path

    def argv(self, script: str) -> list[str]:
        """Return the command that runs a shell script as root in the machine, for a terminal of one's own."""
        # Debian's bash reads bashrc when ssh started it, whose PS1 a shell without a terminal lacks.
        words = shlex.join(["bash", "--norc", "-e", "-o", "pipefail", "-c", script])
        return ["ssh", "-F", str(self.ssh_config), self.name, "--", words]

    def run(
        self, script: str, *, check: bool = True, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script as root in the machine to its end; the exit code is the script's, 255 ssh's own."""
        done = self.switch.run(self.argv(script), check=False, timeout_s=timeout_s)
        if check and done.returncode != 0:
            raise LabError(
                f"{self.name}: {script.strip()}: exit code {done.returncode}",
                hint=last_lines(f"{done.stdout}\n{done.stderr}", count=20),
            )
        return done

    def wait_until_up(self, console_log: Path, *, timeout_s: float = BOOT_TIMEOUT_S) -> None:
        """Wait until the machine takes commands and systemd has started all that it starts."""
        waiting.wait_until(
            lambda: self.run("true", check=False, timeout_s=timeout_s).returncode == 0,
            what=f"{self.name} takes commands",
            timeout_s=timeout_s,
            interval_s=_POLL_INTERVAL_S,
            hint=lambda: last_lines(_tail(console_log)),
        )
        self.run("systemctl is-system-running --wait || true", timeout_s=timeout_s)


def start(spec: MachineSpec, *, switch: Namespaces) -> Process:
    """Start the machine with an empty overlay; it takes commands when wait_until_up returns."""
    spec.directory.mkdir(parents=True, exist_ok=True)
    spec.overlay.unlink(missing_ok=True)
    switch.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(spec.disk), str(spec.overlay)]
    )
    return switch.spawn(spec.name, _qemu(spec), log=spec.directory / "qemu.log")


def write_ssh_config(path: Path, *, key: Path) -> None:
    """Write how ssh reaches every machine. One connection serves all commands: a new one takes a second under TCG."""
    common = (
        "User root", f"IdentityFile {key}", "IdentitiesOnly yes", "BatchMode yes", "LogLevel ERROR",
        "StrictHostKeyChecking no", "UserKnownHostsFile /dev/null", f"ConnectTimeout {_CONNECT_TIMEOUT_S}",
        "ControlMaster auto", f"ControlPath {_SOCKETS}/ssh-%n", "ControlPersist yes", "ServerAliveInterval 30",
    )  # fmt: skip
    lines = []
    for name in network.NAMES:
        lines += [f"Host {name}", f"    HostName {network.addresses(name).management}"]
    lines += ["Host *", *(f"    {option}" for option in common)]
    path.write_text("\n".join(lines) + "\n")


def _qemu(spec: MachineSpec) -> list[str]:
    console = (
        f"socket,id=console,path={_SOCKETS}/{spec.name}.console,server=on,wait=off,logfile={spec.console_log}"
    )
    argv = [
        "qemu-system-x86_64", "-name", spec.name, "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "pc", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", str(MEMORY_MIB),
        "-kernel", str(spec.kernel), "-initrd", str(spec.initrd), "-append", _command_line(spec.name),
        # What a machine wrote is thrown away with it: nothing needs to reach the platters.
        "-drive", f"file={spec.overlay},if=virtio,format=qcow2,cache=unsafe",
        "-device", "virtio-rng-pci", "-chardev", console, "-serial", "chardev:console",
    ]  # fmt: skip
    for tap, mac in zip(network.taps(spec.name), network.macs(spec.name), strict=True):
        argv += ["-netdev", f"tap,id={tap},ifname={tap},script=no,downscript=no"]
        argv += ["-device", f"virtio-net-pci,netdev={tap},mac={mac},romfile="]
    return argv


def _command_line(name: str) -> str:
    here = network.addresses(name)
    management_mac, data_mac = network.macs(name)
    words = (
        "console=ttyS0", "quiet", "panic=10", "systemd.show_status=0", f"lab.name={name}",
        f"lab.management={here.management}/{network.PREFIX}", f"lab.management-mac={management_mac}",
        f"lab.data={here.data}/{network.PREFIX}", f"lab.data-mac={data_mac}",
    )  # fmt: skip
    return " ".join(words)


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-_LOG_TAIL_BYTES:] if path.exists() else ""
