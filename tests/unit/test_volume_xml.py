"""Disks on servers, as their guest's XML names them."""

from common.volumes import VolumeConnection, joined
from compute_agent.hypervisor.volume_xml import volumes
from compute_agent.hypervisor.xml_text import XmlText


def read(disks: str) -> tuple[VolumeConnection, ...]:
    return volumes(XmlText.parse(f"<domain><devices>{disks}</devices></domain>").root)


def test_nbd_by_tcp_and_by_a_socket():
    [by_tcp, by_socket] = read(
        "<disk type='network'><source protocol='nbd' name='x' tls='yes'><host name='s1'/></source>"
        "<target dev='vda'/></disk>"
        "<disk type='network'><source protocol='nbd'><host transport='unix' socket='/run/nbd'/></source>"
        "<target dev='vdb'/></disk>"
    )
    assert by_tcp == VolumeConnection(
        target="vda", driver="nbd", name="x", servers=("s1:10809",), properties={"tls": "yes"}
    )
    assert by_socket.servers == ("unix:/run/nbd",)


def test_iscsi_with_its_initiator_and_secret():
    [volume] = read(
        "<disk type='network'><source protocol='iscsi' name='iqn.2026-01.example:t/1'>"
        "<host name='2001:db8::1' port='3261'/><auth username='me'><secret type='iscsi' usage='u'/></auth>"
        "<initiator><iqn name='iqn.2026-01.example:h'/></initiator></source><target dev='vdc'/></disk>"
    )
    assert volume == VolumeConnection(
        target="vdc",
        driver="iscsi",
        name="iqn.2026-01.example:t/1",
        servers=("[2001:db8::1]:3261",),
        initiator="iqn.2026-01.example:h",
        secret="u",
        properties={"user": "me"},
    )
    assert volume.export == "iqn.2026-01.example:t"


def test_rbd_with_several_monitors_and_one_by_its_configuration():
    [named, configured] = read(
        "<disk type='network'><auth username='libvirt'><secret type='ceph' uuid='s'/></auth>"
        "<source protocol='rbd' name='pool/image'><host name='m1' port='6789'/><host name='m2' port='6789'/></source>"
        "<target dev='vda'/></disk>"
        "<disk type='network'><source protocol='rbd' name='pool/other'><config file='/etc/ceph/a.conf'/>"
        "<snapshot name='s1'/></source><target dev='vdb'/></disk>"
    )
    assert (named.servers, named.secret) == (("m1:6789", "m2:6789"), "s")
    assert (configured.servers, dict(configured.properties)) == (
        (),
        {"config": "/etc/ceph/a.conf", "snapshot": "s1"},
    )


def test_an_image_below_a_disk_is_on_a_server_as_well():
    [volume] = read(
        "<disk type='file'><source file='/d/a.qcow2'/><backingStore type='file'><source file='/d/b.qcow2'/>"
        "<backingStore type='network'><source protocol='nbd' name='base'><host name='s' port='no'/></source>"
        "</backingStore></backingStore><target dev='vda'/></disk>"
    )
    assert (volume.target, volume.driver, volume.name, volume.servers) == ("vda", "nbd", "base", ("s:10809",))


def test_what_may_hold_a_token_is_not_read():
    [volume] = read(
        "<disk type='network'><source protocol='https' name='a.iso' query='token=MARK'><host name='s'/>"
        "<cookies><cookie name='c'>MARK</cookie></cookies></source><target dev='sda'/></disk>"
    )
    assert "MARK" not in repr(volume)


def test_what_is_declared_of_a_disk_joins_what_was_found():
    found = VolumeConnection(target="vda", driver="rbd", name="pool/a", properties={"user": "me"})
    attached = VolumeConnection(target="vdb", driver="iscsi", name="t/1", is_host_attached=True)
    declared = (
        VolumeConnection(target="vda", driver="nbd", name="else", properties={"user": "you", "tier": "gold"}),
        VolumeConnection(target="vdb", driver="fibre_channel", name="lun", is_host_attached=True),
        VolumeConnection(target="vdc", driver="iscsi", name="t/2", is_host_attached=True),
    )
    first, second, third = joined((found, attached), declared)
    assert (first.driver, first.name, dict(first.properties)) == (
        "rbd",
        "pool/a",
        {"user": "me", "tier": "gold"},
    )
    assert (second, third) == declared[1:]
