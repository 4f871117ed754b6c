"""Findings of the agents about two hosts together: how they reach each other, and what must be alike on both."""

from common.checks import Check, Severity

NAME_UNRESOLVED = Check(
    code="name_unresolved",
    sentence="{host} cannot resolve the name {name}: {reason}.",
    hint="Add {name} to the DNS, or on {host} to /etc/hosts: `ADDRESS {name}`",
    meaning="The source must find the dest by name or address; that the dest finds the source is for the way back.",
)
PEER_UNREACHABLE = Check(
    code="peer_unreachable",
    sentence="libvirtd of {peer} does not answer {host} at {uri} ({address}): {reason}.",
    hint="Look at the firewall of {peer}, at [libvirt]live_migration_uri of {host}, and on {peer} whether its libvirtd "
    "listens: `limosa-compute-agent doctor`",
    meaning="The source's libvirtd moves a guest through a connection of its own to the dest's.",
)
PEER_IS_ANOTHER = Check(
    code="peer_is_another",
    sentence="{uri} ({address}) leads {host} to the libvirtd of {found}, which is not that of {peer}.",
    hint="Correct [DEFAULT]host of one of them, or the name {peer} in the DNS, or on {host} in /etc/hosts: `ADDRESS {peer}`",
    meaning="The guest would go to another host than the one that was checked and prepared.",
)
PEER_NOT_PROVEN = Check(
    code="peer_not_proven",
    sentence="What answers {host} at {uri} ({address}) cannot prove that it is {peer}: {reason}.",
    hint="See on {host} whether the name leads to {peer}, then on {peer} whether its certificate names it and is of the CA "
    "that {host} has: `getent hosts {peer}`, `limosa-compute-agent libvirt-setup --check`",
    meaning="Over TLS, another host that the name leads to, and a certificate that does not fit, look the same from here.",
)
MIGRATION_HOST_UNUSABLE = Check(
    code="migration_host_unusable",
    sentence="libvirt on {peer} has {host} send the guest's memory to {name}, and {reason}.",
    hint="Give migration_host in qemu.conf of {peer} an address that {host} reaches, or in limosa.conf, below [libvirt]: "
    "`live_migration_inbound_addr = ADDRESS`",
    meaning="Without an inbound address the dest's libvirt tells its own host name, which must lead the source there.",
)
PORT_UNREACHABLE = Check(
    code="port_unreachable",
    sentence="{host} cannot reach port {port} of {peer} ({address}): {reason}.",
    hint="Open ports {port_min} to {port_max} of {peer} for {host}; the rules that drop them are there: `nft list ruleset`",
    meaning="The dest listens on a free port of this range for a moment and the source connects to it.",
)
PORTS_TAKEN = Check(
    code="ports_taken",
    sentence="All ports from {port_min} to {port_max} are taken on {host}.",
    hint="Widen migration_port_min and migration_port_max (and those of qemu.conf), or look who holds them: `ss -ltnp`",
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
    hint="Run the agent as root on all hosts, as its systemd unit does: `systemctl edit limosa-compute-agent`",
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
    hint='In qemu.conf of both hosts, and restart libvirtd: `lock_manager = "lockd"`',
    meaning="libvirt hands the locks of the disks over; it refuses to between two kinds of them.",
)
SECURITY_MODEL_DIFFERS = Check(
    code="security_model_differs",
    sentence="libvirt confines guests by {source_models} on {source} and by {dest_models} on {host}.",
    hint='Load the same kernel module on both hosts, and in qemu.conf of both: `security_driver = "MODEL"`',
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
    hint="It is installed with the rest: `limosa-compute-agent libvirt-setup --transport tls --apply`",
    severity=Severity.WARNS,
    meaning="The hook is the second fence: it keeps out a guest whose migration was given up. Without it there is only one.",
)
HOST_UUID_SHARED = Check(
    code="host_uuid_shared",
    sentence="libvirt of {host} and of {peer} say that they are one host ({uuid}): it moves no guest between them.",
    hint='In libvirtd.conf of {host}, with what `uuidgen` prints, and restart libvirtd: `host_uuid = "UUID"`',
    meaning="Mainboards without a serial number, and machines that were cloned, share one uuid.",
)
