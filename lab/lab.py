"""The lab as one object: what the tests, the bench, the quickstart and lab/ctl use."""

import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from lab import (
    broker,
    enrolment,
    faults,
    host,
    libvirtd,
    network,
    prober,
    record,
    services,
    storage,
    tls,
    waiting,
)
from lab.errors import LabError
from lab.faults import Victim
from lab.generation import Generation
from lab.guest import lifecycle, registry
from lab.guest.lifecycle import GuestOptions, GuestPlace
from lab.namespaces import COMMAND_TIMEOUT_S, Namespaces
from lab.paths import DEFAULT_PATHS, LabPaths
from lab.prober import Connection, Probe, ProbeStream

PROBE_TIMEOUT_S = 10.0


class Lab:
    """A lab that stands: hosts `controller`, `compute1`, `compute2`, ... , `switch` and `prober`."""

    def __init__(self, stands: record.Record, *, paths: LabPaths = DEFAULT_PATHS) -> None:
        self._record = stands
        self.paths = paths

    @classmethod
    def up(
        cls,
        *,
        hosts: int = 2,
        generations: Mapping[str, Generation] | None = None,
        owner_pid: int | None = None,
        with_services: bool = True,
        settings: Mapping[str, str] | None = None,
        paths: LabPaths = DEFAULT_PATHS,
    ) -> Self:
        """Start a lab and return when everything in it answers.

        `generations` names the hosts ("compute2") that are not this machine's Debian 12.
        When the process `owner_pid` ends, all of the lab ends with it. `settings` ("section.option": value) go
        into every host's limosa.conf. What an earlier lab left in .lab is removed, its caches excepted.
        """
        if not 1 <= hosts <= network.MAX_COMPUTE_HOSTS:
            raise LabError(f"{hosts} compute hosts: from 1 to {network.MAX_COMPUTE_HOSTS} are possible")
        compute = _generations(hosts, generations or {})
        with record.locked(paths=paths):
            if record.running_hosts(paths=paths):
                raise LabError("the lab is up already", hint="lab/ctl status shows it, lab/ctl down ends it")
            _remove_remains(paths)
            try:
                lab = cls(_start_hosts(compute, owner_pid=owner_pid, paths=paths), paths=paths)
                lab._start_infrastructure(settings or {})
                if with_services:
                    lab.start_services()
            except BaseException:
                _destroy(paths)
                raise
            return lab

    @classmethod
    def attach(cls, *, paths: LabPaths = DEFAULT_PATHS) -> Self:
        """Return the lab that stands; raises LabError when there is none."""
        return cls(record.read(paths=paths), paths=paths)

    @staticmethod
    def down(*, paths: LabPaths = DEFAULT_PATHS) -> None:
        """End the lab, whatever is left of it; its logs stay in .lab/hosts until the next one starts."""
        with record.locked(paths=paths):
            _destroy(paths)

    @property
    def compute_hosts(self) -> tuple[str, ...]:
        return tuple(name for name in self._record.hosts if network.is_compute(name))

    @property
    def controller(self) -> Namespaces:
        return self.host(network.CONTROLLER)

    @property
    def transport_url(self) -> str:
        """Where the broker is, as the lab itself may enter it from the controller, with its password."""
        return broker.transport_url(self._record.broker_password)

    def host(self, name: str) -> Namespaces:
        try:
            return self._record.hosts[name]
        except KeyError as e:
            raise LabError(
                f"there is no host {name}", hint=f"there are: {' '.join(self._record.hosts)}"
            ) from e

    def exec(
        self, host_name: str, argv: Sequence[str], *, check: bool = True, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host to its end; its output is captured."""
        return self.host(host_name).run(argv, check=check, timeout_s=timeout_s)

    def virsh(self, host_name: str, *arguments: str) -> str:
        """Run virsh on a host and return what it prints; raises LabError when it fails."""
        return lifecycle.virsh(self.host(host_name), arguments)

    def limosa(
        self, *arguments: str, check: bool = True, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run the client in the controller, its output captured."""
        return self.controller.run([*self.limosa_argv(), *arguments], check=check, timeout_s=timeout_s)

    @staticmethod
    def limosa_argv() -> list[str]:
        """Return how the client is called; raises LabError when it is not installed."""
        return [str(services.program("limosa"))]

    def write_config(self, host_name: str, values: Mapping[str, str]) -> None:
        """Set "section.option" values in a host's limosa.conf; restart its service to make it notice."""
        services.write_configuration(self.host(host_name).name, values, paths=self.paths)

    def log(self, host_name: str, service: str) -> Path:
        """Return the file that a service of ours ("limosa-conductor") logs to, as seen from outside."""
        return self.paths.host(host_name) / services.log_file(service).relative_to("/")

    def start_services(self) -> None:
        """Start the conductor and the agents and return when the conductor calls all of them up.

        The first time the keys by which they know each other are made.
        """
        enrolment.enrol(self.controller, self._compute(), paths=self.paths)
        started = [(self.controller, services.CONDUCTOR)]
        started += [(self.host(name), services.AGENT) for name in self.compute_hosts]
        for host_, service in started:
            services.start(host_, service)
        services.wait_until_ready(self.controller, started)

    def wait_until_agents_are_up(self, *names: str) -> None:
        """Wait until the conductor calls these agents up; all of them when none is named."""
        wanted = set(names or self.compute_hosts)
        waiting.wait_until(
            lambda: wanted <= services.agents_up(self.controller),
            what=f"the conductor sees {', '.join(sorted(wanted))} up",
            timeout_s=services.READY_TIMEOUT_S,
        )

    def process(self, victim: Victim, *, host_name: str | None = None, guest: str | None = None) -> int:
        """Return a process's pid, as seen from outside."""
        there = self.host(faults.host_of(victim, host_name))
        return faults.process_of(there, victim, guest=guest).pid

    def kill(self, victim: Victim, *, host_name: str | None = None, guest: str | None = None) -> None:
        """Kill exactly one process (-9) and return when it is gone."""
        there = self.host(faults.host_of(victim, host_name))
        faults.end(there, victim, guest=guest, with_signal=signal.SIGKILL)

    def stop(self, victim: Victim, *, host_name: str | None = None, guest: str | None = None) -> None:
        """Stop one process in its orderly way (SIGTERM) and return when it is gone."""
        there = self.host(faults.host_of(victim, host_name))
        faults.end(there, victim, guest=guest, with_signal=signal.SIGTERM)

    def pause(self, victim: Victim, *, host_name: str | None = None, guest: str | None = None) -> None:
        """Make one process hang (SIGSTOP) until it is resumed."""
        faults.pause(self.host(faults.host_of(victim, host_name)), victim, guest=guest)

    def resume(self, victim: Victim, *, host_name: str | None = None, guest: str | None = None) -> None:
        """Let a process that was paused go on."""
        faults.resume(self.host(faults.host_of(victim, host_name)), victim, guest=guest)

    def start(self, victim: Victim, *, host_name: str | None = None) -> None:
        """Start what was killed or stopped."""
        faults.start(self.host(faults.host_of(victim, host_name)), victim, paths=self.paths)

    def set_link(self, host_name: str, *, network_name: str = "management", is_up: bool) -> None:
        """Connect a host's link to the management or data network, or cut it."""
        device = f"{host_name}-{network_name[0]}"
        self.exec(network.SWITCH, ["ip", "link", "set", device, "up" if is_up else "down"])

    def join_vxlan(self, *, vni: int, port: int, group: str | None = None) -> None:
        """Join a VXLAN of the hosts with the data network, so that a guest in it can be probed."""
        addresses = (network.addresses(name).management for name in self.compute_hosts)
        remotes = () if group else tuple(filter(None, addresses))
        network.join_vxlan(self.host(network.SWITCH), vni=vni, port=port, remotes=remotes, group=group)

    def guest_create(self, name: str, host_name: str, options: GuestOptions | None = None) -> Probe:
        """Make a guest and return its first answer, given when it has booted."""
        return lifecycle.create(
            name,
            host=self.host(host_name),
            prober_host=self.host(network.PROBER),
            options=options or GuestOptions(),
            paths=self.paths,
        )

    def guest_delete(self, name: str) -> None:
        """Remove a guest from wherever it is, its disks included. Succeeds when there is none."""
        lifecycle.delete(name, hosts=self._compute(), paths=self.paths)

    def guest_places(self) -> list[GuestPlace]:
        """Return every domain on every host, as libvirt has it."""
        return lifecycle.places(hosts=self._compute(), paths=self.paths)

    def probe(self, name: str, *, timeout_s: float = PROBE_TIMEOUT_S) -> Probe:
        """Ask a guest who it is; raises LabError when it does not answer."""
        return prober.probe(self.host(network.PROBER), self._address(name), timeout_s=timeout_s)

    def ask(self, name: str, request: str, *, timeout_s: float = PROBE_TIMEOUT_S) -> str:
        """Send a guest one of the requests of lab/guest/guestd.c, as "write vda hello"."""
        return prober.ask(self.host(network.PROBER), self._address(name), request, timeout_s=timeout_s)

    def probes(self, name: str, *, port: int = prober.GUEST_PORT) -> ProbeStream:
        """Return a stream of probes: `with lab.probes("web") as stream: ...`, then `stream.report`."""
        return ProbeStream(self.host(network.PROBER), self._address(name), port=port)

    def connection(self, name: str, *, port: int = prober.GUEST_PORT) -> Connection:
        """Return a TCP connection that lasts as long as its `with` block, then has a `report`."""
        return Connection(self.host(network.PROBER), self._address(name), port=port)

    def _start_infrastructure(self, settings: Mapping[str, str]) -> None:
        for name in (network.CONTROLLER, *self.compute_hosts):
            base = services.base_configuration(name)
            services.write_configuration(name, {**base, **settings}, paths=self.paths)
        self._configure_broker()
        for name in self.compute_hosts:
            libvirtd.configure(name, paths=self.paths)
        tls.set_up(self.compute_hosts, paths=self.paths)
        waiting.all_at_once(
            [
                partial(broker.start, self.controller, paths=self.paths),
                *(partial(_start_libvirtd, there) for there in self._compute()),
            ]
        )

    def _configure_broker(self) -> None:
        """Make a user for each host, and give each its password and the certificate that it believes."""
        passwords = {name: broker.new_password() for name in self.compute_hosts}
        program = str(services.program(services.CONDUCTOR))
        broker.configure(
            self.controller,
            set_up=(program, "broker-setup", "--config-file", str(services.CONFIG_FILE)),
            password=self._record.broker_password,
            hosts=passwords,
            paths=self.paths,
        )
        certificate = services.CA_CERTIFICATE.relative_to("/")
        for name, password in passwords.items():
            copy = self.paths.host(name) / certificate
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.paths.host(network.CONTROLLER) / certificate, copy)
            way = services.way_to_broker(name, password=password)
            services.write_configuration(name, way, paths=self.paths)

    def _compute(self) -> list[Namespaces]:
        return [self.host(name) for name in self.compute_hosts]

    def _address(self, name: str) -> str:
        return registry.get(name, paths=self.paths).address


def _start_libvirtd(there: Namespaces) -> None:
    libvirtd.start(there)


def _generations(count: int, generations: Mapping[str, Generation]) -> dict[str, Generation]:
    """Return every compute host's generation; raises LabError for one that would not exist."""
    names = [network.compute_name(number) for number in range(1, count + 1)]
    unknown = sorted(set(generations) - set(names))
    if unknown:
        raise LabError(
            f"{', '.join(unknown)} would be no compute host of this lab", hint=f"there are: {' '.join(names)}"
        )
    return {name: generations.get(name, Generation.DEBIAN_12) for name in names}


def _start_hosts(
    compute: Mapping[str, Generation], *, owner_pid: int | None, paths: LabPaths
) -> record.Record:
    """Start all namespaces and join them in the networks."""
    others = dict.fromkeys((network.SWITCH, network.CONTROLLER, network.PROBER), Generation.DEBIAN_12)
    hosts = {**others, **compute}
    for name in hosts:
        host.write_tree(name, all_names=hosts, paths=paths)
    store = storage.start(owner_pid=owner_pid, paths=paths)
    specs = [
        host.spec(name, of=generation, storage=store.init, owner_pid=owner_pid, paths=paths)
        for name, generation in hosts.items()
    ]
    started = waiting.all_at_once([partial(Namespaces.start, spec, paths=paths) for spec in specs])
    stands = record.Record(
        broker_password=broker.new_password(), hosts={there.name: there for there in [*started, store]}
    )
    record.write(stands, paths=paths)
    network.connect(
        stands.hosts[network.SWITCH], [there for there in started if there.name != network.SWITCH]
    )
    return stands


def _destroy(paths: LabPaths) -> None:
    waiting.all_at_once([there.destroy for there in record.running_hosts(paths=paths)])
    paths.record.unlink(missing_ok=True)
    paths.guests.unlink(missing_ok=True)
    shutil.rmtree(paths.shared, ignore_errors=True)


def _remove_remains(paths: LabPaths) -> None:
    for path in (paths.record, paths.guests):
        path.unlink(missing_ok=True)
    for directory in (paths.hosts, paths.shared):
        shutil.rmtree(directory, ignore_errors=True)
