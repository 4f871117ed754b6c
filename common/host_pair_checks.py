"""Findings about two hosts that need no guest: what must be alike, or tell them apart."""

from common.checks import Check, Severity

QEMU_USERS_DIFFER = Check(
    code="qemu_users_differ",
    sentence="QEMU runs as {source_user} on {peer} and as {dest_user} on {host}: guests with files are not moved.",
    hint="The same numbers on all hosts, with no guest running there: `usermod -u UID libvirt-qemu`",
    meaning="Files on shared storage carry numbers: what one QEMU may open, the other may not.",
)
VERSIONS_DIFFER = Check(
    code="versions_differ",
    sentence="{host} has QEMU {version} and libvirt {libvirt}, {peer} QEMU {peer_version} and libvirt {peer_libvirt}.",
    hint="From the newer one a guest moves back only with a machine type that the older one knows; on the older one: "
    "`apt upgrade`",
    severity=Severity.WARNS,
    meaning="By default no guest moves to a host with an older hypervisor (hypervisor_version_check).",
)
AGENT_VERSIONS_DIFFER = Check(
    code="agent_versions_differ",
    sentence="{host} has version {version} of the compute agent, {peer} {peer_version}.",
    hint="On the older one: `apt install limosa-compute-agent`",
    severity=Severity.WARNS,
    meaning="Two versions work together for the time of an upgrade.",
)
CPUS_DIFFER = Check(
    code="cpus_differ",
    sentence="The CPUs of {host} and {peer} differ: {differences}.",
    hint="A guest with host-passthrough does not move between them; a model that both can run: "
    "`limosa cpu-baseline {host} {peer}`",
    severity=Severity.WARNS,
    meaning="A guest moves to where its CPU model and features can be had.",
)
PLACE_DIFFERS = Check(
    code="place_differs",
    sentence="{path} is on {file_system} ({source}) of {host}, and on {peer_file_system} ({peer_source}) of {peer}.",
    hint="If guests are to share it, mount the same on both: `mount {remedy} {path}`",
    severity=Severity.WARNS,
    meaning="Disks below it would be copied instead of shared.",
)
