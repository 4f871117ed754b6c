"""Findings about a host that the conductor makes from its database: what it could take, and whether it fits the source."""

from common.checks import Check

SERVICE_DISABLED = Check(
    code="service_disabled",
    sentence="{host} takes no guests: {reason}.",
    hint="To let it take guests again: `limosa service enable {host}`",
    meaning="An operator has disabled the host; its own guests may be moved away.",
)
VCPUS_SHORT = Check(
    code="vcpus_short",
    sentence="{instance} needs {needed} virtual CPUs; {host} has {free} free for guests.",
    hint="Choose another host, or raise cpu_allocation_ratio (total {total}, ratio {ratio}, reserved {reserved}).",
    meaning="The guest's virtual CPUs do not fit by the conductor's count (ratio, reserve, claims).",
)
DISK_SHORT = Check(
    code="disk_short",
    sentence="{instance} would copy {needed_mib} MiB of disks; {host} has {free_mib} MiB free for guests.",
    hint="Choose another host or free space there (total {total_mib} MiB, ratio {ratio}, reserved {reserved_mib} MiB, "
    "claimed by other migrations {claimed_mib} MiB).",
    meaning="Disks that would be copied to [agent]instances_path do not fit there beside those that other migrations copy; "
    "what lies on shared storage needs no space and is not counted.",
)
HYPERVISOR_TYPE_DIFFERS = Check(
    code="hypervisor_type_differs",
    sentence="{source} runs {source_type} and {host} runs {dest_type}.",
    hint="Choose a host with {source_type}.",
    meaning="A guest moves between hypervisors of one kind only.",
)
HYPERVISOR_VERSION_UNFIT = Check(
    code="hypervisor_version_unfit",
    sentence="{source} runs version {source_version} of the hypervisor and {host} {dest_version}: "
    "hypervisor_version_check = {rule} does not permit it.",
    hint="Choose another host, upgrade {host}, or set [conductor]hypervisor_version_check in limosa.conf.",
    meaning="What a newer QEMU sends, an older one may not understand: by default the dest must not be older.",
)
