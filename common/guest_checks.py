"""Findings about what a guest needs of the dest's libvirt: its machine, its CPU, and what its XML names."""

from common.checks import Check

DOMAIN_TYPE_MISSING = Check(
    code="domain_type_missing",
    sentence="{instance} is a {type} guest of {arch}; libvirt on {host} runs no such guests.",
    hint="It offers: {offered}. For kvm look whether {host} has /dev/kvm, and the processor's virtualisation in its BIOS.",
    meaning="The dest's libvirt does not offer the guest's domain type (kvm, qemu) for its architecture.",
)
EMULATOR_MISSING = Check(
    code="emulator_missing",
    sentence="{host} has no working {emulator}, which {instance}'s XML names as its emulator.",
    hint="Install the same QEMU there, at the same path.",
    meaning="libvirt starts the very binary that the XML names, or fails.",
)
MACHINE_TYPE_UNKNOWN = Check(
    code="machine_type_unknown",
    sentence="QEMU on {host} does not know {instance}'s machine type {machine}.",
    hint="The newest that it knows are: {newest}. A guest keeps its machine type until it is shut down and its XML changed; "
    "until then choose a host with a QEMU that knows it.",
    meaning="The guest's machine type is newer than the dest's QEMU, or was dropped from it.",
)
CPU_INCOMPATIBLE = Check(
    code="cpu_incompatible",
    sentence="{host} cannot offer {instance}'s CPU ({model}): {why}.",
    hint="Choose another host, or give the guest a CPU that both have: `virsh hypervisor-cpu-baseline` finds one.",
    meaning="The guest sees features of a CPU that the dest's hypervisor cannot give it; it would crash, or not start.",
)
CPU_HOST_DIFFERS = Check(
    code="cpu_host_differs",
    sentence="{instance} is given the CPU of its host ({mode}), and {host}'s is another one: {differences}.",
    hint="Choose a host with an equal CPU and the same libvirt, or give the guest a named CPU model.",
    meaning="A guest that was given its host's own CPU can move only to an equal one.",
)
CPU_HOST_UNKNOWN = Check(
    code="cpu_host_unknown",
    sentence="{instance} is given the CPU of its host ({mode}), and whether {host}'s is equal cannot be told: {reason}.",
    hint="Bring Limosa on both hosts and on the conductor to this version, and wait for the hosts' next report.",
    meaning="A guest has its host's own CPU, and the CPU of one of the hosts is not known.",
)
CPU_MAXIMUM_DIFFERS = Check(
    code="cpu_maximum_differs",
    sentence="{instance} has all that its QEMU can emulate (maximum); QEMU is {source_version} there and {dest_version} "
    "on {host}.",
    hint="Choose a host with the same QEMU, or give the guest a named CPU model.",
    meaning="What `maximum` is without KVM differs between versions of QEMU.",
)
SECRET_MISSING = Check(
    code="secret_missing",
    sentence="{instance} uses the libvirt secret {secret}, which {host} does not have.",
    hint="Define it there with the same uuid and value (`virsh secret-define`, `virsh secret-set-value`), or put its value "
    "into {path}/{secret}, root's alone. It is fetched from the source only where libvirtd is reached by tls or ssh.",
    meaning="A disk or a TPM of the guest is opened with a libvirt secret that the dest does not have.",
)
SECRET_PRIVATE = Check(
    code="secret_private",
    sentence="{instance} uses the libvirt secret {secret}, which is private on its host and which {host} does not have.",
    hint="Define it on {host} with the same uuid and value, or put its value into {path}/{secret}, root's alone.",
    meaning="A secret of the guest cannot be brought along, since libvirt tells its value to nobody.",
)
SECRET_UNSAFE = Check(
    code="secret_unsafe",
    sentence="{instance} uses the libvirt secret {secret}, whose file on {host} is not root's alone: {reason}.",
    hint="`chown root:root` and `chmod 0600` it, and let nobody else write to its directory.",
    meaning="A file with the value of a secret could be read or replaced by somebody else than root.",
)
NETWORK_MISSING = Check(
    code="network_missing",
    sentence="{instance} is connected to the libvirt network {network}, which {host} does not have.",
    hint="Define and start it there: `virsh net-define`, `virsh net-start {network}`. It has: {known}.",
    meaning="The guest's XML names a libvirt network that the dest does not have.",
)
NETWORK_INACTIVE = Check(
    code="network_inactive",
    sentence="The libvirt network {network} of {instance} is not active on {host}.",
    hint="`virsh net-start {network}` there; `virsh net-autostart {network}` starts it with the host.",
    meaning="The guest's XML names a libvirt network that is defined on the dest and not started.",
)
NWFILTER_MISSING = Check(
    code="nwfilter_missing",
    sentence="{instance} is protected by the nwfilter {nwfilter}, which {host} does not have.",
    hint="Define it there: `virsh nwfilter-dumpxml {nwfilter}` on the source, `virsh nwfilter-define` on {host}.",
    meaning="The guest's XML names an nwfilter that the dest does not have.",
)
