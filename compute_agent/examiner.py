"""Examine this host as the dest or the source of a migration: all checks, and the probes that show what storage is shared.

The verbs of a migration and `limosa check` ask the same. Nothing is changed, but for the probes on the dest: who asked
removes them (`forget`), or they are removed when nobody comes back for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from common import concurrency
from common.checks import INSTANCE_GONE
from common.errors import LimosaError
from common.facts import DiskFacts, GuestFacts
from common.migration import (
    CheckDestArguments,
    CheckSourceArguments,
    DestinationFacts,
    DiskAddress,
    GuestTraits,
)
from common.pair_checks import PORTS_TAKEN
from common.room import DiskRoom
from common.states import PowerState
from common.transfer import TransferPlan
from common.volumes import joined
from compute_agent import checks, observation, planning
from compute_agent.checks import interfaces
from compute_agent.checks.room import check_room
from compute_agent.checks.running import Found, failure
from compute_agent.checks.storage import Ways, find_ways
from compute_agent.checksums import Checksums
from compute_agent.definitions import facts_of, traits_of
from compute_agent.errors import LinkError
from compute_agent.hypervisor.driver import Definition, Hypervisor
from compute_agent.hypervisor.libvirt_errors import DomainNotFoundError, HypervisorError
from compute_agent.link_making import LinkMaker
from compute_agent.media_contents import seen_here
from compute_agent.network import Network
from compute_agent.ports import Ports
from compute_agent.preparing.arrivals import Arrivals
from compute_agent.preparing.room import rooms_for
from compute_agent.probes import STORAGE_TIMEOUT_S, Made, Probes
from compute_agent.settings import Settings
from compute_agent.storage import absence, parts
from compute_agent.storage.making import ImageMaker
from compute_agent.storage.volume import located
from compute_agent.subprocesses import User, user_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DestExamined:
    found: Found
    facts: DestinationFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceExamined:
    found: Found
    traits: GuestTraits | None  # None: the guest is not here
    plan: TransferPlan | None = None  # None: it cannot be moved


class Examiner:
    """Every method raises HypervisorError where libvirt is silent altogether."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        *,
        network: Network,
        links: LinkMaker,
        probes: Probes,
        checksums: Checksums,
        makers: Mapping[str, ImageMaker],
        arrivals: Arrivals,
        settings: Settings,
    ) -> None:
        self._hypervisor = hypervisor
        self._network = network
        self._links = links
        self._probes = probes
        self._settings = settings
        self._checksums = checksums
        self._makers = makers
        self._arrivals = arrivals
        first, last = settings.migration_ports
        self._ports = Ports(network, first=first, last=last)

    def examine_dest(
        self, instance: str, arguments: CheckDestArguments, *, owner: str, epoch: int = 0
    ) -> DestExamined:
        """What speaks against this host, and how it is reached. `owner`: a migration, or whoever will `forget`."""
        look = self._dest_look(instance, arguments)
        user = user_of(look.dest, label=look.guest.dac_label)
        probing = concurrency.spawn(self._make_probes, arguments, owner, epoch, user)
        found = checks.run(checks.DEST_CHECKS, look)
        ports = self.hold_ports(owner)
        if self._settings.checks_ports and not ports:
            first, last = self._settings.migration_ports
            taken = PORTS_TAKEN.finding(self._settings.host, port_min=first, port_max=last)
            found += Found(findings=(taken,))
        made = Made()
        rooms: tuple[DiskRoom, ...] = ()
        try:
            made = probing.wait(2 * STORAGE_TIMEOUT_S)
            attached = _attached(arguments)
            lacking = tuple(one for one in made.absent if one.disk not in attached)
            possible, against = absence.judge(lacking, _disks(arguments), place=self._place(arguments))
            to_come = tuple(one for one in made.absent if one.disk in attached)
            made = replace(made, absent=(*possible, *to_come))
            found += Found(findings=(*made.findings, *against))
            rooms = rooms_for(possible, _disks(arguments), makers=self._makers, arrivals=self._arrivals)
        except Exception as error:  # noqa: BLE001 (as `checks.run`: the other checks must still be told)
            found += failure("storage", error, host=self._settings.host)
        facts = replace(
            self._facts(look, arguments), probes=made.probes, absent=made.absent, rooms=rooms, ports=ports
        )
        return DestExamined(found=found, facts=facts)

    def examine_source(
        self,
        instance: str,
        arguments: CheckSourceArguments,
        *,
        observed: observation.SourceLook,
        is_planned: bool = False,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> SourceExamined:
        """What speaks against moving this guest to that dest; its traits, for when nothing does.

        `is_planned`: it is to be moved, so that files which the dest must have are read for their checksums.
        """
        definition = self._definition(instance)
        if definition is None or not observed.snapshot.exists:
            gone = INSTANCE_GONE.finding(self._settings.host, instance=instance)
            return SourceExamined(found=Found(findings=(gone,)), traits=None)
        reach = arguments.dest_facts
        look = checks.SourceLook(
            hypervisor=self._hypervisor,
            network=self._network,
            links=self._links,
            settings=self._settings,
            instance=instance,
            guest=self._with_layers(facts_of(definition)),
            definition=definition,
            observed=observed,
            source=self._hypervisor.host_facts(),
            reach=reach,
            dest=reach.facts,
            dest_host=reach.host or reach.connect_address,
            declared=arguments.declared,
        )
        finding_ways = concurrency.spawn(find_ways, look, self._makers)
        found = checks.run(checks.SOURCE_CHECKS, look)
        ways = Ways()
        try:
            ways = finding_ways.wait(2 * STORAGE_TIMEOUT_S)
            found += Found(findings=(*ways.findings, *check_room(look, ways.disks)))
        except Exception as error:  # noqa: BLE001 (as `checks.run`)
            found += failure("storage", error, host=self._settings.host)
        plan = None
        if is_planned and found.accepts:
            try:
                plan = planning.plan_of(look, ways, self._checksums, is_stopped=is_stopped)
            except (LimosaError, OSError) as error:
                found += failure("what is copied", error, host=self._settings.host)
        return SourceExamined(found=found, traits=traits_of(definition), plan=plan)

    def hold_ports(self, owner: str) -> tuple[int, ...]:
        """Those that others may try to reach, until `forget`; none where it is not wanted, or all are taken."""
        return self._ports.hold(owner) if self._settings.checks_ports else ()

    def forget(self, owner: str) -> None:
        """Remove the probes and close the ports that were made for it."""
        self._ports.release(owner)
        self._probes.remove(owner)

    def forget_forgotten(self) -> None:
        """The same for those that nobody came back for."""
        self._ports.release_forgotten()
        self._probes.remove_forgotten()

    def stop(self) -> None:
        """The agent ends. Probes stay for the next one."""
        self._ports.release_all()

    def _facts(self, look: checks.DestLook, arguments: CheckDestArguments) -> DestinationFacts:
        identity, address = self._hypervisor.identity(), self._settings.inbound_address
        return DestinationFacts(
            connect_address=address or self._settings.host,
            inbound_address=address,
            host=self._settings.host,
            facts=look.dest,
            examined=_examined(arguments),
            hostname=identity.hostname,
            host_uuid=identity.uuid,
            port_range=self._settings.migration_ports,
            mtus=_mtus(look),
            initiator=self._settings.volumes.initiator,
            media=seen_here(look.guest),
        )

    def _dest_look(self, instance: str, arguments: CheckDestArguments) -> checks.DestLook:
        return checks.DestLook(
            hypervisor=self._hypervisor,
            network=self._network,
            links=self._links,
            settings=self._settings,
            instance=instance,
            guest=arguments.facts or _facts_of_older(instance, arguments),
            dest=self._hypervisor.host_facts(),
            source=arguments.source,
            source_host=arguments.source_host,
            source_address=arguments.source_address,
            ram_allocation_ratio=arguments.ram_allocation_ratio,
            declared=arguments.declared,
        )

    def _place(self, arguments: CheckDestArguments) -> absence.Place:
        return absence.Place(
            host=self._settings.host,
            mode=arguments.declared.storage,
            missing_base_image=self._settings.storage.missing_base_image,
            makers=self._makers,
        )

    def _make_probes(self, arguments: CheckDestArguments, owner: str, epoch: int, user: User | None) -> Made:
        disks = tuple(disk for facts in _disks(arguments) for disk in parts.shared_parts(facts))
        disks = located(disks, self._hypervisor)
        return self._probes.make(disks, migration=owner, epoch=epoch, user=user)

    def _with_layers(self, guest: GuestFacts) -> GuestFacts:
        """With the images below its disks, which libvirt leaves out of the XML that is for another host, and its volumes."""
        try:
            whole = self._hypervisor.guest_facts(guest.uuid)
        except DomainNotFoundError:
            return guest  # gone in between, which the look at its state tells
        found = {(disk.target, disk.source): disk for disk in whole.disks}
        disks = (found.get((disk.target, disk.source), disk) for disk in guest.disks)
        return replace(guest, disks=tuple(disks), volumes=whole.volumes)

    def _definition(self, instance: str) -> Definition | None:
        """None: the guest is not here, which the look tells."""
        try:
            return self._hypervisor.definition(instance)
        except DomainNotFoundError:
            return None


def _mtus(look: checks.DestLook) -> tuple[tuple[str, int], ...]:
    """None where the links cannot be looked at: the check of them says so."""
    if not look.guest.interfaces:
        return ()
    try:
        return interfaces.mtus(interfaces.place_of(look), look.guest.interfaces)
    except (LinkError, HypervisorError):
        return ()


def _attached(arguments: CheckDestArguments) -> frozenset[str]:
    """The disks that a host attaches: what is not here yet is no reason against it, and takes no room."""
    found = arguments.facts.volumes if arguments.facts is not None else ()
    volumes = joined(found, arguments.declared.volumes)
    return frozenset(volume.target for volume in volumes if volume.is_host_attached)


def _disks(arguments: CheckDestArguments) -> tuple[DiskFacts, ...]:
    """Those that are to be looked at, with all that is known of each."""
    known = (
        {}
        if arguments.facts is None
        else {(disk.target, disk.source): disk for disk in arguments.facts.disks}
    )
    return tuple(
        known.get((target, path)) or DiskFacts(target=target, type=kind, source=path, device=device)
        for target, kind, path, device in arguments.disks
    )


def _examined(arguments: CheckDestArguments) -> tuple[DiskAddress, ...]:
    """What the source may take as looked at: the disks as they were asked for, and each image below them."""
    looked_at = (part for disk in _disks(arguments) for part in parts.shared_parts(disk))
    below = (part for part in looked_at if part.device == parts.LAYER)
    return (*arguments.disks, *((layer.target, layer.type, layer.path, layer.device) for layer in below))


def _facts_of_older(instance: str, arguments: CheckDestArguments) -> GuestFacts:
    """What a conductor of the first version tells of the guest."""
    return GuestFacts(
        uuid=instance,
        name=arguments.name,
        power_state=PowerState.UNKNOWN,
        vcpus=arguments.vcpus,
        memory_mib=arguments.memory_mib,
        is_persistent=True,
        has_autostart=False,
        machine=arguments.machine,
    )
