"""What a hypervisor tells of disks on servers that are not here: of their XML, as libvirt keeps it."""

from common.volumes import VolumeConnection
from tests.contract.hypervisor_sites import Site
from tests.fakes.domain import guest_xml

SECRET = "0f2f6f6e-1111-4222-8333-000000000001"
DISKS = f"""
    <disk type='network' device='disk'><driver name='qemu' type='raw'/>
      <auth username='libvirt'><secret type='ceph' uuid='{SECRET}'/></auth>
      <source protocol='rbd' name='pool/image'><host name='mon1' port='6789'/><host name='mon2'/></source>
      <target dev='vda' bus='virtio'/></disk>
    <disk type='network' device='disk'><driver name='qemu' type='raw'/>
      <source protocol='rbd' name='pool/other'><config file='/etc/ceph/other.conf'/></source>
      <target dev='vdb' bus='virtio'/></disk>
    <disk type='network' device='disk'><driver name='qemu' type='raw'/>
      <source protocol='iscsi' name='iqn.2026-01.example:t/1'><host name='s1'/>
        <initiator><iqn name='iqn.2026-01.example:h'/></initiator></source>
      <target dev='vdc' bus='virtio'/></disk>"""


def test_disks_on_servers_are_volumes_whatever_their_protocol(site: Site) -> None:
    uuid = site.add_guest(guest_xml("ceph", devices=DISKS), is_running=False)
    rbd, configured, iscsi = site.source.guest_facts(uuid).volumes
    assert rbd == VolumeConnection(
        target="vda",
        driver="rbd",
        name="pool/image",
        servers=("mon1:6789", "mon2:6789"),
        secret=SECRET,
        properties={"user": "libvirt"},
    )
    assert (configured.servers, configured.properties) == ((), {"config": "/etc/ceph/other.conf"})
    assert (iscsi.servers, iscsi.initiator) == (("s1:3260",), "iqn.2026-01.example:h")
