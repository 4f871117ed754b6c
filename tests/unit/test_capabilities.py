"""Reading libvirt's capabilities: Debian 12's, shortened, and what older, newer and odd ones may say."""

import pytest

from compute_agent.hypervisor import capabilities
from compute_agent.hypervisor.looks import Offer

CPU = """<cpu>
      <arch>x86_64</arch>
      <model>EPYC-Rome</model>
      <vendor>AMD</vendor>
      <microcode version='1'/>
      <topology sockets='1' dies='1' cores='2' threads='1'/>
      <feature name='x2apic'/>
    </cpu>"""

DEBIAN_12 = f"""<capabilities>
  <host>
    <uuid>11111111-0000-4000-8000-000000000001</uuid>
    {CPU}
    <secmodel><model>apparmor</model><doi>0</doi></secmodel>
    <secmodel>
      <model>dac</model><doi>0</doi>
      <baselabel type='kvm'>+64055:+994</baselabel>
      <baselabel type='qemu'>+64055:+994</baselabel>
    </secmodel>
  </host>
  <guest>
    <os_type>hvm</os_type>
    <arch name='x86_64'>
      <wordsize>64</wordsize>
      <emulator>/usr/bin/qemu-system-x86_64</emulator>
      <machine maxCpus='255'>pc-i440fx-7.2</machine>
      <machine canonical='pc-i440fx-7.2' maxCpus='255'>pc</machine>
      <domain type='qemu'/>
      <domain type='kvm'><emulator>/usr/bin/kvm</emulator><machine maxCpus='1'>microvm</machine></domain>
    </arch>
  </guest>
</capabilities>
"""


def test_host_is_read() -> None:
    found = capabilities.read(DEBIAN_12)
    assert (found.cpu_model, found.cpu_arch, found.cpu_xml) == ("EPYC-Rome", "x86_64", CPU)
    assert found.security_models == ("apparmor", "dac")
    assert (found.qemu_uid, found.qemu_gid) == (64055, 994)


def test_domain_type_has_the_machines_of_its_arch_unless_it_names_its_own() -> None:
    assert capabilities.read(DEBIAN_12).offers == (
        Offer(
            arch="x86_64",
            domain_type="qemu",
            emulator="/usr/bin/qemu-system-x86_64",
            machines=("pc-i440fx-7.2", "pc"),
        ),
        Offer(arch="x86_64", domain_type="kvm", emulator="/usr/bin/kvm", machines=("microvm",)),
    )


@pytest.mark.parametrize(
    "xml",
    [
        "<capabilities/>",
        "<capabilities><host><cpu/></host><guest/><guest><arch/></guest></capabilities>",
        "<capabilities><host><secmodel><model>dac</model></secmodel></host></capabilities>",
        "<capabilities><host><secmodel><model>dac</model><baselabel>nobody</baselabel></secmodel></host></capabilities>",
    ],
)
def test_what_is_not_there_is_empty(xml: str) -> None:
    found = capabilities.read(xml)
    assert (found.cpu_model, found.cpu_arch) == (capabilities.UNKNOWN_CPU_MODEL, "")
    assert (found.qemu_uid, found.qemu_gid, found.offers) == (None, None, ())
