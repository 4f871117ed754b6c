"""What a guest from elsewhere would meet on this host, asked of libvirt. All of it runs in native threads and only reads.

Functions take virConnect and raise libvirt's own errors; `ControlConnection.call` runs and translates.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import libvirt

from common.facts import GuestFacts
from compute_agent.hypervisor.looks import CpuComparison, HostResources, MachineFit, Offer

# libvirt compares CPUs of x86 and s390 only; of the others the dest's libvirt says nothing before the guest arrives.
_NOT_COMPARED = (libvirt.VIR_ERR_OPERATION_UNSUPPORTED, libvirt.VIR_ERR_NO_SUPPORT)
# "the CPU is incompatible with host CPU: Host CPU does not provide required features: vme, rdseed" (libvirt 9.0).
# The text is only shown: whether the CPU is compatible is told by the error's code.
_MISSING_FEATURES = re.compile(r"required features: (?P<features>[^\s,]+(?:, [^\s,]+)*)")


def machine_fit(connection: Any, guest: GuestFacts, *, offers: tuple[Offer, ...]) -> MachineFit:
    """libvirt looks at emulator, architecture, machine and accelerator, in this order; two of them share a code."""
    ways = [offer for offer in offers if offer.arch == guest.arch]
    if all(offer.domain_type != guest.hypervisor for offer in ways):
        return MachineFit.NO_DOMAIN_TYPE
    try:
        connection.getDomainCapabilities(
            guest.emulator or None, guest.arch, guest.machine or None, guest.hypervisor
        )
    except libvirt.libvirtError as error:
        match error.get_error_code():
            case libvirt.VIR_ERR_SYSTEM_ERROR:  # "Cannot check QEMU binary"
                return MachineFit.NO_EMULATOR
            case libvirt.VIR_ERR_INVALID_ARG:
                return MachineFit.NO_MACHINE
            case _:
                raise
    return MachineFit.FITS


def compare_cpu(connection: Any, guest: GuestFacts) -> CpuComparison:
    """The CPU of the live XML says what the guest's QEMU really offers: libvirt writes it there after the start."""
    if not guest.cpu_xml:
        return CpuComparison(is_compatible=True)
    flags = libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE  # or it would not say what is missing
    try:
        result = connection.compareHypervisorCPU(
            guest.emulator or None, guest.arch, guest.machine or None, guest.hypervisor, guest.cpu_xml, flags
        )
    except libvirt.libvirtError as error:
        if error.get_error_code() in _NOT_COMPARED:
            return CpuComparison(is_compatible=True, reason=str(error))
        # A model or feature that this libvirt does not know is an internal error of its CPU driver.
        if error.get_error_domain() != libvirt.VIR_FROM_CPU:
            raise
        reason = str(error)
        return CpuComparison(is_compatible=False, reason=reason, missing=missing_features(reason))
    return CpuComparison(is_compatible=result > libvirt.VIR_CPU_COMPARE_INCOMPATIBLE)


def missing_features(reason: str) -> tuple[str, ...]:
    """Those that libvirt's text names, if it does."""
    found = _MISSING_FEATURES.search(reason)
    return tuple(found["features"].split(", ")) if found is not None else ()


def resources(connection: Any) -> HostResources:
    networks = _listed(connection.listAllNetworks)
    secrets = _listed(connection.listAllSecrets)
    return HostResources(
        networks_active=tuple(network.name() for network in networks if network.isActive()),
        networks_inactive=tuple(network.name() for network in networks if not network.isActive()),
        network_bridges=tuple(_bridges(networks)),
        nwfilters=tuple(nwfilter.name() for nwfilter in _listed(connection.listAllNWFilters)),
        secrets=tuple(name for secret in secrets for name in (secret.UUIDString(), secret.usageID()) if name),
    )


def _bridges(networks: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """A network of macvtaps or of a pool of functions has none, which libvirt tells as an error."""
    for network in networks:
        try:
            if network.isActive():
                yield network.name(), network.bridgeName()
        except libvirt.libvirtError as error:
            if error.get_error_code() not in (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_NO_NETWORK):
                raise


def _listed(question: Callable[[], Iterable[Any]]) -> tuple[Any, ...]:
    """Nothing, where libvirt has no driver for it: then nothing of the kind is here."""
    try:
        return tuple(question())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return ()
        raise
