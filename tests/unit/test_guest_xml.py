"""Reading domain XML: what a report says of a guest, whatever devices it has, and what it never says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.facts import DiskFacts, GuestFacts
from common.states import PowerState
from common.wire import from_primitive, to_primitive
from compute_agent.hypervisor import guest_xml
from tests.unit.test_domain_xml import DOMAIN, documents

MARKERS = tuple(f"SECRET-{number}" for number in range(9))

EVERYTHING = f"""<domain type='kvm' id='3' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>all</name>
  <uuid>c1b2a5a4-0f0e-4f4b-8a7e-1d2c3b4a5f61</uuid>
  <metadata><app:key xmlns:app='https://app.example'>{MARKERS[0]}</app:key></metadata>
  <memory unit='KiB'>1048576</memory>
  <vcpu placement='static'>2</vcpu>
  <sysinfo type='smbios'><oemStrings><entry>{MARKERS[1]}</entry></oemStrings></sysinfo>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <cpu mode='custom' match='exact' check='full'>
    <model fallback='forbid'>EPYC</model>
    <feature policy='require' name='x2apic'/>
  </cpu>
  <launchSecurity type='sev'><session>{MARKERS[2]}</session></launchSecurity>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='network' device='disk'>
      <auth username='libvirt'><secret type='ceph' uuid='aaaaaaaa-0000-4000-8000-000000000001'/></auth>
      <source protocol='rbd' name='pool/image'>
        <encryption format='luks'><secret type='passphrase' uuid='aaaaaaaa-0000-4000-8000-000000000002'/></encryption>
      </source>
      <backingStore type='network'>
        <source protocol='iscsi' name='iqn/0'>
          <auth username='me'><secret type='iscsi' usage='the target'/></auth>
        </source>
      </backingStore>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='network' device='cdrom'>
      <source protocol='https' name='a.iso' query='token={MARKERS[3]}'>
        <cookies><cookie name='session'>{MARKERS[4]}</cookie></cookies>
      </source>
      <target dev='sda'/>
    </disk>
    <interface type='network'>
      <source network='default' portid='1' bridge='virbr0'/>
      <filterref filter='clean-traffic'><parameter name='IP' value='192.0.2.9'/></filterref>
    </interface>
    <interface type='network'><source network='default'/><filterref filter='clean-traffic'/></interface>
    <interface type='bridge'><source network='blue' portid='2' bridge='br0'/></interface>
    <interface type='bridge'><source bridge='br0'/><filterref filter='mine'/></interface>
    <graphics type='vnc' port='5900' listen='192.0.2.1' passwd='{MARKERS[5]}' passwdValidTo='2030-01-01T00:00:00'>
      <listen type='address' address='192.0.2.1'/>
    </graphics>
    <graphics type='spice' passwd='{MARKERS[6]}'>
      <listen type='network' network='mgmt' address='198.51.100.1'/>
      <listen type='socket' socket='/run/spice'/>
    </graphics>
    <graphics type='vnc' listen='::1'/>
    <graphics type='sdl'/>
    <channel type='tcp'><source mode='connect' host='192.0.2.1' service='1' tls='yes'/></channel>
    <tpm model='tpm-crb'>
      <backend type='emulator'><encryption secret='aaaaaaaa-0000-4000-8000-000000000003'/></backend>
    </tpm>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-fw_cfg'/><qemu:arg value='name=key,string={MARKERS[7]}'/>
    <qemu:env name='PASSWORD' value='{MARKERS[8]}'/>
  </qemu:commandline>
</domain>
"""


def read(xml: str, power_state: PowerState = PowerState.RUNNING) -> GuestFacts:
    return guest_xml.guest_facts(xml, power_state=power_state, is_persistent=True, has_autostart=False)


def test_facts_of_a_guest() -> None:
    facts = guest_xml.guest_facts(
        DOMAIN, power_state=PowerState.RUNNING, is_persistent=True, has_autostart=False
    )
    assert (facts.name, facts.uuid) == ("wéb", "c1b2a5a4-0f0e-4f4b-8a7e-1d2c3b4a5f60")
    assert (facts.machine, facts.arch, facts.hypervisor) == ("pc-q35-7.2", "x86_64", "kvm")
    assert facts.vcpus == 2
    assert facts.memory_mib == 1025, "1024 MiB and 1 KiB are rounded up"
    assert facts.disks == (
        DiskFacts(target="vda", type="file", source="/srv/a b.qcow2", format="qcow2"),
        DiskFacts(target="vdb", type="block", source="/dev/sdb", is_shareable=True),
        DiskFacts(target="vdc", type="network", source="rbd:pool/image"),
        DiskFacts(target="vdd", type="volume", source="default/v1"),
        DiskFacts(target="sda", type="file", source="", device="cdrom", is_readonly=True),
    )


@pytest.mark.parametrize(
    ("memory", "expected_mib"),
    [
        ("<memory>1024</memory>", 1),
        ("<memory unit='GiB'>2</memory>", 2048),
        ("<memory unit='G'>2</memory>", 2048),
        ("<memory unit='MB'>1</memory>", 1),
        ("<memory unit='bytes'>1</memory>", 1),
        ("", 0),
    ],
)
def test_memory_in_each_unit(memory: str, expected_mib: int) -> None:
    facts = guest_xml.guest_facts(
        f"<domain>{memory}</domain>", power_state=PowerState.SHUTOFF, is_persistent=True, has_autostart=False
    )
    assert facts.memory_mib == expected_mib


def test_smallest_domain_has_facts() -> None:
    facts = guest_xml.guest_facts(
        "<domain/>", power_state=PowerState.SHUTOFF, is_persistent=True, has_autostart=True
    )
    assert (facts.vcpus, facts.memory_mib, facts.disks) == (1, 0, ())


def test_what_a_guest_needs_of_its_host_is_named() -> None:
    facts = read(EVERYTHING)
    assert facts.cpu_xml.startswith("<cpu mode='custom'") and facts.cpu_xml.endswith("</cpu>")
    assert facts.emulator == "/usr/bin/qemu-system-x86_64"
    assert sorted(facts.secrets) == [
        "aaaaaaaa-0000-4000-8000-000000000001",
        "aaaaaaaa-0000-4000-8000-000000000002",
        "aaaaaaaa-0000-4000-8000-000000000003",
        "the target",
    ]
    assert facts.networks == ("default", "blue", "mgmt")
    assert facts.nwfilters == ("clean-traffic", "mine")
    assert facts.graphics == (
        ("vnc", "192.0.2.1"),
        ("spice", "198.51.100.1"),
        ("spice", ""),
        ("vnc", "::1"),
        ("sdl", ""),
    )


def test_no_secret_is_ever_in_facts() -> None:
    told = json.dumps(to_primitive(read(EVERYTHING)))
    assert [marker for marker in MARKERS if marker not in EVERYTHING] == [], "the markers are in the XML"
    assert [marker for marker in MARKERS if marker in told] == []


def test_facts_survive_their_way() -> None:
    facts = read(EVERYTHING)
    assert from_primitive(GuestFacts, json.loads(json.dumps(to_primitive(facts)))) == facts


ODD = [
    "<memory unit='KiB'>many</memory><vcpu>all</vcpu>",
    "<vcpu current='²'>1</vcpu>",
    "<memory unit='parsec'>4</memory>",
    "<os><type>exe</type><init>/sbin/init</init></os>",
    "<cpu/>",
    "<devices/>",
    "<devices><disk/><interface/><graphics/><hostdev/><tpm/><filesystem/></devices>",
    "<devices><disk type='nvme' device='disk'><source type='pci' managed='yes' namespace='1'/></disk></devices>",
    "<devices><disk type='vhostuser'><source type='unix' path='/run/vhost'/></disk></devices>",
    "<devices><disk type='dir' device='floppy'><source dir='/srv'/></disk></devices>",
    "<devices><disk type='from-the-future'><source what='ever'/><target/></disk></devices>",
    "<devices><interface type='network'/><interface type='vdpa'><source dev='/dev/v'/></interface></devices>",
    "<devices><interface><filterref/></interface><graphics><listen/></graphics></devices>",
    "<devices><tpm><backend><encryption/></backend></tpm><secret/><a><secret usage=''/></a></devices>",
    "<devices><hostdev mode='subsystem' type='scsi'><source protocol='iscsi' name='q'><auth><secret/></auth>"
    "</source></hostdev></devices>",
]


@pytest.mark.parametrize("part", ODD)
def test_odd_part_is_read_without_an_error(part: str) -> None:
    facts = read(f"<domain type='qemu'><name>odd</name>{part}</domain>")
    assert (facts.name, facts.hypervisor) == ("odd", "qemu")
    assert to_primitive(facts)


TAGS = ["disk", "source", "driver", "target", "auth", "secret", "encryption", "interface", "filterref", "graphics",
        "listen", "tpm", "backend", "vcpu", "memory", "os", "type", "cpu", "emulator", "uuid"]  # fmt: skip
NAMES = [
    "type",
    "dev",
    "file",
    "uuid",
    "usage",
    "network",
    "filter",
    "address",
    "current",
    "unit",
    "protocol",
    "pool",
]


@st.composite
def likely_parts(draw: st.DrawFn, depth: int = 3) -> str:
    """Elements that the reader looks for, in places where it does not expect them."""
    attributes = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
    values = draw(st.lists(st.sampled_from(["", "network", "1", "-1", "x", "١"]), min_size=3, max_size=3))
    tag = draw(st.sampled_from(TAGS))
    start = tag + "".join(f" {name}='{value}'" for name, value in zip(attributes, values, strict=False))
    children = draw(st.lists(likely_parts(depth - 1), max_size=3)) if depth else []
    return f"<{start}>{''.join(children) or draw(st.sampled_from(['', '7', 'seven', '-7']))}</{tag}>"


@given(st.lists(likely_parts(), max_size=4), st.lists(likely_parts(), max_size=2), documents())
def test_any_domain_has_facts(devices: list[str], others: list[str], unknown: str) -> None:
    devices_xml = f"<devices>{''.join(devices)}</devices>"
    facts = read(f"<domain>{''.join(others)}{devices_xml}{unknown}</domain>")
    assert from_primitive(GuestFacts, to_primitive(facts)) == facts


CHAIN = """<domain><devices>
  <disk type='file'>
    <source file='/srv/web.qcow2'>
      <reservations managed='no'><source type='unix' path='/run/pr.sock' mode='client'/></reservations>
      <dataStore type='file'><format type='raw'/><source file='/srv/web.data'/></dataStore>
    </source>
    <backingStore type='block'><format type='qcow2'/><source dev='/dev/vg0/middle'/>
      <backingStore type='network'><format type='raw'/><source protocol='rbd' name='pool/base'/>
        <backingStore/>
      </backingStore>
    </backingStore>
    <mirror type='file' job='copy'><format type='raw'/><source file='/srv/copy.raw'/>
      <backingStore type='file'><format type='raw'/><source file='/srv/base.raw'/></backingStore>
    </mirror>
    <target dev='vda'/>
  </disk>
  <disk type='file'><source file='/srv/plain.raw'/><backingStore/><target dev='vdb'/></disk>
</devices></domain>"""


def test_every_image_that_a_disk_stands_on_is_a_fact_of_it() -> None:
    chain, plain = read(CHAIN).disks

    assert sorted(chain.layers) == [
        ("block", "/dev/vg0/middle"),
        ("file", "/srv/base.raw"),
        ("file", "/srv/copy.raw"),
        ("file", "/srv/web.data"),
        ("network", "rbd:pool/base"),
    ]
    assert plain.layers == ()


@pytest.mark.parametrize(
    ("kind", "model", "expected"),
    [("static", "dac", "+1234:+1234"), ("dynamic", "dac", ""), ("static", "selinux", "")],
)
def test_the_user_that_a_definition_gives_its_qemu_is_a_fact(kind: str, model: str, expected: str) -> None:
    apparmor = "<seclabel type='dynamic' model='apparmor'><label>libvirt-1</label></seclabel>"
    label = f"<seclabel type='{kind}' model='{model}' relabel='yes'><label>+1234:+1234</label></seclabel>"

    assert read(f"<domain>{apparmor}{label}</domain>").dac_label == expected
