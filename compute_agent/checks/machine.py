"""On the dest: whether its libvirt and QEMU can make the machine that the guest is."""

import re
from collections.abc import Iterable, Iterator

from common.checks import Finding
from common.guest_checks import DOMAIN_TYPE_MISSING, EMULATOR_MISSING, MACHINE_TYPE_UNKNOWN
from compute_agent.checks.look import DestLook
from compute_agent.hypervisor.looks import MachineFit, Offer

NEWEST_SHOWN = 3

# pc-i440fx-7.2, pc-q35-rhel9.2.0: a family and a version.
_VERSIONED = re.compile(r"(?P<family>.+?)-?(?P<version>\d+(?:\.\d+)+)")


def check_machine(look: DestLook) -> Iterator[Finding]:
    guest, host = look.guest, look.settings.host
    if not guest.arch:
        return  # the conductor is of an older version and told nothing of the machine
    match look.hypervisor.machine_fit(guest):
        case MachineFit.NO_DOMAIN_TYPE:
            yield DOMAIN_TYPE_MISSING.finding(
                host,
                instance=guest.name,
                type=guest.hypervisor,
                arch=guest.arch,
                offered=_offered(look.hypervisor.offers()),
            )
        case MachineFit.NO_EMULATOR:
            yield EMULATOR_MISSING.finding(host, instance=guest.name, emulator=guest.emulator)
        case MachineFit.NO_MACHINE:
            yield MACHINE_TYPE_UNKNOWN.finding(
                host,
                instance=guest.name,
                machine=guest.machine,
                newest=", ".join(_newest(look)) or "none",
            )


def newest(machines: Iterable[str], *, like: str) -> tuple[str, ...]:
    """The newest of the same family; the newest of every family where this one is not known at all."""
    families: dict[str, list[tuple[tuple[int, ...], str]]] = {}
    for machine in machines:
        found = _VERSIONED.fullmatch(machine)
        if found is not None:
            version = tuple(int(part) for part in found["version"].split("."))
            families.setdefault(found["family"], []).append((version, machine))
    wanted = _VERSIONED.fullmatch(like)
    if wanted is not None and wanted["family"] in families:
        family = sorted(families[wanted["family"]], reverse=True)
        return tuple(machine for _, machine in family[:NEWEST_SHOWN])
    return tuple(max(family)[1] for family in families.values())[:NEWEST_SHOWN]


def _newest(look: DestLook) -> tuple[str, ...]:
    machines = [
        machine
        for offer in look.hypervisor.offers()
        if (offer.arch, offer.domain_type) == (look.guest.arch, look.guest.hypervisor)
        for machine in offer.machines
    ]
    return newest(machines, like=look.guest.machine)


def _offered(offers: Iterable[Offer]) -> str:
    return ", ".join(f"{offer.domain_type} of {offer.arch}" for offer in offers) or "nothing"
