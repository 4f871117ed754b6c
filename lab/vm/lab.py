"""The VM lab as one object: what tests/vm and lab/vm/ctl use."""

import shutil
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from lab import record, waiting
from lab.errors import LabError
from lab.namespaces import Namespaces, NamespaceSpec
from lab.paths import CHECKOUT, LabPaths
from lab.vm import disk, initrd, machine, network, repository
from lab.vm.disk import Role
from lab.vm.machine import Machine, MachineSpec

VM_PATHS = LabPaths(top=CHECKOUT / ".lab" / "vm")
SWITCH = "switch"


class VmLab:
    """A controller and two compute nodes that run, and the switch between them."""

    def __init__(self, switch: Namespaces, *, paths: LabPaths = VM_PATHS) -> None:
        self.switch = switch
        self.paths = paths

    @classmethod
    def up(
        cls,
        *,
        names: Sequence[str] = network.NAMES,
        packages: Iterable[Path] = (),
        owner_pid: int | None = None,
        paths: LabPaths = VM_PATHS,
    ) -> Self:
        """Start these machines and return when all of them take commands.

        apt finds `packages` (Debian packages, ours) in them, and what those depend on. When the process `owner_pid`
        ends, all of the lab ends with it. Whatever an earlier VM lab wrote is gone.
        """
        for name in names:
            _check(name)
        disks = {role: disk.ensure(role, paths=paths) for role in {_role(name) for name in names}}
        with record.locked(paths=paths):
            if record.running_hosts(paths=paths):
                raise LabError("the VM lab is up already", hint="lab/vm/ctl down ends it")
            for directory in (paths.hosts, _machines(paths)):
                shutil.rmtree(directory, ignore_errors=True)
            try:
                lab = cls(_start_switch(names, owner_pid=owner_pid, paths=paths), paths=paths)
                lab.publish(packages)
                repository.serve(lab.switch, lab._repository)
                lab._boot(names, disks)
            except BaseException:
                _destroy(paths)
                raise
            return lab

    @classmethod
    def attach(cls, *, paths: LabPaths = VM_PATHS) -> Self:
        """Return the VM lab that stands; raises LabError when none does."""
        for host in record.running_hosts(paths=paths):
            return cls(host, paths=paths)
        raise LabError("no VM lab is up", hint="lab/vm/ctl up")

    @staticmethod
    def down(*, paths: LabPaths = VM_PATHS) -> None:
        """End the machines; the logs of their consoles stay in .lab/vm/machines until the next ones start."""
        with record.locked(paths=paths):
            _destroy(paths)

    def machine(self, name: str) -> Machine:
        _check(name)
        return Machine(name=name, switch=self.switch, ssh_config=_ssh_config(self.paths))

    def publish(self, packages: Iterable[Path]) -> None:
        """Let apt find these packages in the machines, beside what they depend on; `apt update` there sees them."""
        theirs = [deb for role in Role for deb in disk.dependencies(role, paths=self.paths)]
        repository.publish(self._repository, [*theirs, *packages])

    def offer(self, file: Path, *, name: str) -> str:
        """Return the URL under which every machine can fetch a file until the next `publish`."""
        shutil.copy(file, self._repository / name)
        return f"http://{network.REPOSITORY_NAME}:{network.REPOSITORY_PORT}/{name}"

    @property
    def _repository(self) -> Path:
        return self.paths.top / "repository"

    def _boot(self, names: Sequence[str], disks: dict[Role, Path]) -> None:
        kernel = self.paths.cache / "kernel"
        image = self.paths.top / "initrd.gz"
        initrd.build(image, kernel=kernel)
        machine.write_ssh_config(_ssh_config(self.paths), key=disk.ssh_key(self.paths))
        waits = []
        for name in names:
            spec = MachineSpec(
                name=name,
                disk=disks[_role(name)],
                kernel=kernel / "vmlinuz",
                initrd=image,
                directory=_machines(self.paths) / name,
            )
            machine.start(spec, switch=self.switch)
            waits.append(partial(self.machine(name).wait_until_up, spec.console_log))
        waiting.all_at_once(waits)


def _check(name: str) -> None:
    if name not in network.NAMES:
        raise LabError(f"there is no machine {name}", hint=f"there are: {' '.join(network.NAMES)}")


def _role(name: str) -> Role:
    return Role.CONTROLLER if name == network.CONTROLLER else Role.COMPUTE


def _machines(paths: LabPaths) -> Path:
    return paths.top / "machines"


def _ssh_config(paths: LabPaths) -> Path:
    return paths.top / "ssh_config"


def _start_switch(names: Iterable[str], *, owner_pid: int | None, paths: LabPaths) -> Namespaces:
    paths.host(SWITCH).mkdir(parents=True)
    sysctl = {"net/ipv6/conf/default/disable_ipv6": "1", "net/bridge/bridge-nf-call-iptables": "0"}
    switch = Namespaces.start(NamespaceSpec(name=SWITCH, owner_pid=owner_pid, sysctl=sysctl), paths=paths)
    network.connect(switch, names)
    return switch


def _destroy(paths: LabPaths) -> None:
    for host in record.running_hosts(paths=paths):
        host.destroy()
    for overlay in _machines(paths).glob("*/disk.qcow2"):
        overlay.unlink()
    shutil.rmtree(paths.top / "repository", ignore_errors=True)
