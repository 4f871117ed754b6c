"""Findings of the agents about two hosts together: how they reach each other, and what must be alike on both."""

from common.checks import Check, Severity

NAME_UNRESOLVED = Check(
    code="name_unresolved",
    sentence="{host} cannot resolve the name {name}: {reason}.",
    hint="Add {name} to the DNS, or to /etc/hosts on {host}.",
    meaning="The source must find the dest by name or address; that the dest finds the source is for the way back.",
)
PEER_UNREACHABLE = Check(
    code="peer_unreachable",
    sentence="libvirtd of {peer} does not answer {host} at {uri} ({address}): {reason}.",
    hint="Look whether libvirtd on {peer} listens for other hosts, at the firewall, and at [libvirt]live_migration_uri.",
    meaning="The source's libvirtd moves a guest through a connection of its own to the dest's.",
)
PEER_IS_ANOTHER = Check(
    code="peer_is_another",
    sentence="{uri} ({address}) leads {host} to the libvirtd of {found}, which is not that of {peer}.",
    hint="Correct the name {peer} in the DNS or in /etc/hosts on {host}, or the [DEFAULT]host of one of them.",
    meaning="The guest would go to another host than the one that was checked and prepared.",
)
MIGRATION_HOST_UNUSABLE = Check(
    code="migration_host_unusable",
    sentence="libvirt on {peer} has {host} send the guest's memory to {name}, and {reason}.",
    hint="Set [libvirt]live_migration_inbound_addr on {peer}, or migration_host in its qemu.conf, to an address of it that "
    "{host} reaches.",
    meaning="Without an inbound address the dest's libvirt tells its own host name, which must lead the source there.",
)
PORT_UNREACHABLE = Check(
    code="port_unreachable",
    sentence="{host} cannot reach port {port} of {peer} ({address}): {reason}.",
    hint="Open ports {port_min} to {port_max} of {peer} for {host}: the guest's memory is sent there.",
    meaning="The dest listens on a free port of this range for a moment and the source connects to it.",
)
PORTS_TAKEN = Check(
    code="ports_taken",
    sentence="All ports from {port_min} to {port_max} are taken on {host}.",
    hint="Look with `ss -ltn` who holds them, or widen migration_port_min and migration_port_max (and those of qemu.conf).",
    meaning="Each migration that arrives needs a port of this range.",
)
QEMU_USER_DIFFERS = Check(
    code="qemu_user_differs",
    sentence="QEMU runs as {source_user} on {source} and as {dest_user} on {host}, and {instance} has files that both open.",
    hint="Give the user of qemu.conf the same numbers of user and group on all hosts.",
    meaning="Files on shared storage carry numbers: what one QEMU may open, the other may not, or libvirt takes it away.",
)
SERVICE_USER_DIFFERS = Check(
    code="service_user_differs",
    sentence="The compute agent runs as {source_user} on {source} and as {dest_user} on {host}.",
    hint="Run the agent as the same user on all hosts; the systemd unit runs it as root.",
    severity=Severity.WARNS,
    meaning="What one agent writes on shared storage, the other may not be able to read or to remove.",
)
GRAPHICS_ADDRESS_ABSENT = Check(
    code="graphics_address_absent",
    sentence="The {type} server of {instance} would listen on {address}, which {host} does not have.",
    hint="Set [{type}]server_listen on {host} to an address of its own, or to 0.0.0.0.",
    meaning="An address of one host is replaced by server_listen of the dest; QEMU does not start where that is absent.",
)
DISK_NOT_ACCESSIBLE = Check(
    code="disk_not_accessible",
    sentence="QEMU on {host}, as {user}, cannot open disk {disk} ({path}): {reason}.",
    hint="Look at owner and mode of the file and of the directories above it, and at the server's mapping of users.",
    meaning="The disk's file is opened by a short-lived process of QEMU's user on the dest, and nothing is written to it.",
)
LOCK_MANAGER_DIFFERS = Check(
    code="lock_manager_differs",
    sentence="Disks are locked by {source_manager} on {source} and by {dest_manager} on {host}.",
    hint="Set the same lock_manager in qemu.conf of both hosts.",
    meaning="libvirt hands the locks of the disks over; it refuses to between two kinds of them.",
)
SECURITY_MODEL_DIFFERS = Check(
    code="security_model_differs",
    sentence="libvirt confines guests by {source_models} on {source} and by {dest_models} on {host}.",
    hint="Set the same security_driver in qemu.conf of both hosts, and load the same kernel module.",
    meaning="A label of AppArmor or SELinux means nothing to a host without it.",
)
DISK_UNPROTECTED = Check(
    code="disk_unprotected",
    sentence="No lock between hosts protects disk {disk} ({path}) on {host}: {reason}.",
    hint="Use lock_manager = lockd in qemu.conf, or storage where QEMU's own locks hold between hosts (NFS 4, ...).",
    severity=Severity.WARNS,
    meaning="If both hosts ever started the guest, nothing would stop the second; with require_disk_lock it refuses.",
)
HOOK_MISSING = Check(
    code="hook_missing",
    sentence="{host} has no executable qemu hook of Limosa at {path}.",
    hint="Copy etc/libvirt/hooks/qemu.d/limosa there, make it executable and restart libvirtd.",
    severity=Severity.WARNS,
    meaning="The hook is the second fence: it keeps out a guest whose migration was given up. Without it there is only one.",
)
