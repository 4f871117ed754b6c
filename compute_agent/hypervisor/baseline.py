"""The CPU that several hosts can all give a guest: what each offers, and what libvirt makes of all of it.

libvirt is asked as `virsh hypervisor-cpu-baseline` asks it: with the host-model CPUs of the hosts' domain capabilities
(libvirt.org/formatdomaincaps.html), which leave out what QEMU, or the kernel, cannot give a guest.
"""

from typing import Any, Protocol

import libvirt

from common.errors import NoBaselineError
from compute_agent.hypervisor.control import ControlConnection
from compute_agent.hypervisor.libvirt_errors import HypervisorOperationError
from compute_agent.hypervisor.xml_text import XmlText

BASELINE_TIMEOUT_S = 30.0  # the first look at a QEMU's CPUs starts it
_KVM, _EMULATED = "kvm", "qemu"
_HOST_MODEL = "host-model"


class Baselines(Protocol):
    def offered_cpu(self) -> str:
        """The `<cpu>` that a guest with host-model would get here; empty: libvirt tells none."""

    def baseline_cpu(self, cpus: tuple[str, ...]) -> str:
        """The `<cpu>` that can be had wherever one of these is offered; raises NoBaselineError."""


class LibvirtBaselines:
    """Mixed into `libvirt_hypervisor.LibvirtHypervisor`."""

    _control: ControlConnection

    def offered_cpu(self) -> str:
        return self._control.call(_offered, timeout_s=BASELINE_TIMEOUT_S)

    def baseline_cpu(self, cpus: tuple[str, ...]) -> str:
        def baseline(connection: Any) -> str:
            flags = libvirt.VIR_CONNECT_BASELINE_CPU_MIGRATABLE
            domain_type = _domain_type(connection)
            return str(connection.baselineHypervisorCPU(None, None, None, domain_type, list(cpus), flags))

        try:
            return self._control.call(baseline, timeout_s=BASELINE_TIMEOUT_S)
        except HypervisorOperationError as error:
            raise NoBaselineError(reason=error.text.rstrip(".")) from error


def host_model_of(capabilities: str) -> str:
    """Of the text of domain capabilities; empty where the mode is not supported. Pure."""
    document = XmlText.parse(capabilities)
    for mode in document.root.find_all("cpu/mode"):
        if mode.get("name") == _HOST_MODEL and mode.get("supported") == "yes":
            return f"<cpu>{''.join(document.outer(child) for child in mode.children)}</cpu>"
    return ""


def _offered(connection: Any) -> str:
    return host_model_of(connection.getDomainCapabilities(None, None, None, _domain_type(connection)))


def _domain_type(connection: Any) -> str:
    """KVM where guests can have it: both ends of a migration do, or neither."""
    try:
        connection.getDomainCapabilities(None, None, None, _KVM)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_CONFIG_UNSUPPORTED):
            raise
        return _EMULATED
    return _KVM
