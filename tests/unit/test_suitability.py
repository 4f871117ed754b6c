"""What libvirt's errors say of a guest's fit, where no lab has the host that would raise them."""

from dataclasses import replace

import libvirt
import pytest

from compute_agent.hypervisor import capabilities, suitability
from compute_agent.hypervisor.looks import HostResources, MachineFit
from tests.fakes.agent import guest_facts

GUEST = replace(
    guest_facts("c1b2a5a4-0f0e-4f4b-8a7e-1d2c3b4a5f60"),
    arch="aarch64",
    hypervisor="qemu",
    cpu_xml="<cpu mode='custom'><model>cortex-a57</model></cpu>",
)
CAPABILITIES = """<capabilities><guest><arch name='aarch64'><machine>virt-7.2</machine>
  <domain type='qemu'/></arch></guest></capabilities>"""
OFFERS = capabilities.read(CAPABILITIES).offers


class Connection:
    """A virConnect that answers every question with one error."""

    def __init__(self, code: int, domain: int = libvirt.VIR_FROM_QEMU) -> None:
        self._error = libvirt.libvirtError("as a test wants it")
        self._error.err = (code, domain, "as a test wants it", 2, None, None, None, -1, -1)

    def _fail(self, *_arguments: object) -> object:
        raise self._error

    compareHypervisorCPU = getDomainCapabilities = _fail  # noqa: N815
    listAllNetworks = listAllNWFilters = listAllSecrets = _fail  # noqa: N815


def test_an_architecture_whose_cpus_libvirt_does_not_compare_is_let_pass() -> None:
    found = suitability.compare_cpu(Connection(libvirt.VIR_ERR_OPERATION_UNSUPPORTED), GUEST)
    assert found.is_compatible
    assert found.missing == ()


def test_an_error_of_the_cpu_driver_is_a_refusal_and_any_other_is_none() -> None:
    refused = suitability.compare_cpu(Connection(libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_CPU), GUEST)
    assert not refused.is_compatible
    with pytest.raises(libvirt.libvirtError):
        suitability.compare_cpu(Connection(libvirt.VIR_ERR_INTERNAL_ERROR), GUEST)


def test_an_error_that_says_nothing_of_the_machine_is_raised() -> None:
    refused = suitability.machine_fit(Connection(libvirt.VIR_ERR_INVALID_ARG), GUEST, offers=OFFERS)
    assert refused is MachineFit.NO_MACHINE
    with pytest.raises(libvirt.libvirtError):
        suitability.machine_fit(Connection(libvirt.VIR_ERR_INTERNAL_ERROR), GUEST, offers=OFFERS)


def test_a_libvirt_without_a_driver_has_nothing_of_its_kind() -> None:
    assert suitability.resources(Connection(libvirt.VIR_ERR_NO_SUPPORT)) == HostResources()
    with pytest.raises(libvirt.libvirtError):
        suitability.resources(Connection(libvirt.VIR_ERR_INTERNAL_ERROR))
