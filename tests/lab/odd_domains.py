"""Domain XML with parts that Limosa has never met: libvirt takes it, so Limosa must live with it."""

# Moves well, for all that Limosa knows nothing of these.
MOVABLE_DEVICES = """
    <controller type='virtio-serial' index='0'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>
    <watchdog model='i6300esb' action='none'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <panic model='isa'/>
    <sound model='ich6'/>
    <input type='keyboard' bus='virtio'/>
"""

# Everything that libvirt defines although nothing of it is there. It cannot be started here.
DEFINED_ONLY = """\
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>odd-defined</name>
  <title>Größe &lt;b&gt;&amp;amp; 大</title>
  <metadata>
    <a:note xmlns:a='urn:unknown' a:lang='de'><a:deep><![CDATA[<disk type='file'/>]]></a:deep></a:note>
  </metadata>
  <memory unit='KiB'>65537</memory>
  <currentMemory unit='KiB'>40000</currentMemory>
  <vcpu placement='static' cpuset='0' current='1'>3</vcpu>
  <iothreads>2</iothreads>
  <cputune><shares>2048</shares><vcpupin vcpu='0' cpuset='0'/></cputune>
  <memtune><hard_limit unit='MiB'>900</hard_limit></memtune>
  <blkiotune><weight>500</weight></blkiotune>
  <sysinfo type='smbios'><system><entry name='serial'>odd</entry></system></sysinfo>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <loader readonly='yes' type='pflash'>/nowhere/OVMF_CODE.fd</loader>
    <nvram>/nowhere/odd_VARS.fd</nvram>
    <smbios mode='sysinfo'/>
  </os>
  <features><acpi/><apic/><vmcoreinfo state='on'/></features>
  <clock offset='timezone' timezone='Europe/Berlin'><timer name='pit' tickpolicy='delay'/></clock>
  <devices>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw'/>
      <auth username='nobody'><secret type='ceph' usage='no such secret'/></auth>
      <source protocol='rbd' name='pool/image'><host name='ceph.example' port='6789'/></source>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='block' device='lun'>
      <driver name='qemu' type='raw'/><source dev='/dev/nowhere'/><target dev='sda' bus='scsi'/>
    </disk>
    <disk type='volume' device='disk'>
      <driver name='qemu' type='qcow2'/><source pool='nowhere' volume='none'/><target dev='vdb' bus='virtio'/>
    </disk>
    <disk type='nvme' device='disk'>
      <driver name='qemu' type='raw'/>
      <source type='pci' managed='yes' namespace='1'>
        <address domain='0x0000' bus='0xff' slot='0x00' function='0x0'/>
      </source>
      <target dev='vdc' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap' iothread='2'/>
      <source file='/srv/shared/with &amp; and spaces.qcow2' index='7'/>
      <backingStore type='file'><format type='raw'/><source file='/srv/shared/base.img'/><backingStore/></backingStore>
      <target dev='vdd' bus='virtio'/>
      <iotune><total_iops_sec>100</total_iops_sec></iotune>
    </disk>
    <disk type='file' device='cdrom'><target dev='sdb' bus='sata'/><readonly/></disk>
    <controller type='scsi' model='virtio-scsi'/>
    <filesystem type='mount' accessmode='mapped'><source dir='/nowhere'/><target dir='tag'/></filesystem>
    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source><address domain='0x0000' bus='0xff' slot='0x1f' function='0x7'/></source>
    </hostdev>
    <hostdev mode='subsystem' type='usb'>
      <source startupPolicy='optional'><vendor id='0xdead'/><product id='0xbeef'/></source>
    </hostdev>
    <hostdev mode='subsystem' type='mdev' model='vfio-pci'>
      <source><address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source>
    </hostdev>
    <interface type='hostdev' managed='yes'>
      <source><address type='pci' domain='0x0000' bus='0xff' slot='0x1f' function='0x6'/></source>
    </interface>
    <interface type='direct'><source dev='nowhere0' mode='bridge'/></interface>
    <interface type='network'><source network='nowhere'/><filterref filter='no-such-filter'/></interface>
    <interface type='user'/>
    <serial type='tcp'><source mode='bind' host='127.0.0.1' service='4555'/><protocol type='telnet'/></serial>
    <graphics type='vnc' socket='/run/odd.sock'/>
    <graphics type='vnc' autoport='yes' passwd='secret'><listen type='network' network='nowhere'/></graphics>
    <video><model type='virtio' heads='2'/></video>
    <tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/nowhere'/></backend></tpm>
    <vsock model='virtio'><cid auto='yes'/></vsock>
    <watchdog model='ib700' action='dump'/>
    <rng model='virtio'>
      <backend model='egd' type='udp'><source mode='connect' host='127.0.0.1' service='1234'/></backend>
    </rng>
    <memballoon model='none'/>
    <panic model='isa'/>
  </devices>
  <seclabel type='none'/>
  <qemu:commandline><qemu:arg value='-nonsense'/></qemu:commandline>
</domain>
"""
