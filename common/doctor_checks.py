"""Findings about one host that need no guest: how it is configured, what it may write, who reaches it."""

from common.checks import Check, Severity

_JOIN = (
    "`limosa-conductor host add {host}` on a controller prints a code; on {host}: "
    "`limosa-compute-agent join BROKER-URL CODE`"
)

CONFIGURATION_MISSING = Check(
    code="configuration_missing",
    sentence="{host} has no {path}: it belongs to no Limosa yet.",
    hint=_JOIN,
    meaning="A host gets its configuration, its key and its certificate when it joins.",
)
CONFIGURATION_UNUSABLE = Check(
    code="configuration_unusable",
    sentence="The configuration of {host} cannot be used: {reason}.",
    hint="Correct the line that it names, then: `systemctl restart limosa-compute-agent`",
    meaning="An option that is misspelt, or has a value that cannot work: the agent does not start with it.",
)
CONFIGURATION_EXPOSED = Check(
    code="configuration_exposed",
    sentence="Everybody on {host} may read {path}, which holds a password (mode {mode}).",
    hint="`chmod 0640 {path}`",
    severity=Severity.WARNS,
    meaning="Whoever reads transport_url may speak to RabbitMQ as this host.",
)
KEY_UNUSABLE = Check(
    code="key_unusable",
    sentence="{host} cannot prove who it is, or who the conductors are: {reason}.",
    hint=_JOIN,
    meaning="Every message is signed; without the host's own key and the conductors' public one nothing is believed.",
)
AGENT_ABSENT = Check(
    code="agent_absent",
    sentence="No compute agent runs on {host}.",
    hint="`systemctl enable --now limosa-compute-agent`",
    meaning="Nobody obeys the conductors on this host.",
)
PLACE_NOT_WRITABLE = Check(
    code="place_not_writable",
    sentence="The compute agent of {host} cannot write in {path}, where disks that are copied would be made: {reason}.",
    hint="Make it, mount it for writing, or name another with [agent]instances_path: `ls -ld {path}; df -h {path}`",
    severity=Severity.WARNS,
    meaning="Guests whose disks are not on shared storage cannot come to this host.",
)
LIBVIRT_UNUSABLE = Check(
    code="libvirt_unusable",
    sentence="libvirt of {host} does not answer at {uri}: {reason}.",
    hint="{remedy}: `{command}`",
    meaning="The agent does all that it does through libvirt's socket.",
)
LIBVIRT_OLD = Check(
    code="libvirt_old",
    sentence="{host} has libvirt {version}; Limosa needs {needed}.",
    hint="`apt install libvirt-daemon-system`",
    meaning="Older ones lack parameters of a migration that Limosa gives.",
)
NOT_LISTENING = Check(
    code="not_listening",
    sentence="libvirtd of {host} does not listen for other hosts at port {port} ({transport}): {reason}.",
    hint="`limosa-compute-agent libvirt-setup --transport {setup} --apply --restart`",
    meaning="The source's libvirtd moves a guest through a connection of its own to the dest's.",
)
TCP_OPEN = Check(
    code="tcp_open",
    sentence="Whoever reaches port {port} of {host} commands its libvirtd: it asks nobody who he is.",
    hint="`limosa-compute-agent libvirt-setup --transport tls --apply --restart`",
    severity=Severity.WARNS,
    meaning="auth_tcp is none in libvirtd.conf. TLS lets in only who has a certificate.",
)
HOOK_OTHER = Check(
    code="hook_other",
    sentence="The qemu hook of {host} at {path} is not that of this version of Limosa.",
    hint="`limosa-compute-agent libvirt-setup --transport tls --apply`",
    severity=Severity.WARNS,
    meaning="Somebody changed it, or another version installed it.",
)
HOOK_UNSEEN = Check(
    code="hook_unseen",
    sentence="libvirt of {host} was started before it had a qemu hook, and may not call it.",
    hint="Guests are not disturbed by it: `systemctl restart {unit}`",
    severity=Severity.WARNS,
    meaning="libvirt looks only at its start whether there is a hook at all.",
)
LOCK_MANAGER_ABSENT = Check(
    code="lock_manager_absent",
    sentence="{path} of {host} is on {file_system}, where no lock between hosts protects disks, and libvirt has no "
    "lock_manager.",
    hint='In qemu.conf of all hosts: `lock_manager = "lockd"`',
    severity=Severity.WARNS,
    meaning="If both hosts ever started a guest, nothing would stop the second.",
)
SERVICE_USER_POOR = Check(
    code="service_user_poor",
    sentence="The compute agent of {host} runs as user {uid}, not as root.",
    hint="Remove User= from what changes its unit: `systemctl edit limosa-compute-agent`",
    severity=Severity.WARNS,
    meaning="Taps, rules and files of QEMU's user need root; what the agent may not do, a check tells only then.",
)
LISTEN_ADDRESS_ABSENT = Check(
    code="listen_address_absent",
    sentence="The {type} server of a guest that comes would listen on {address}, which {host} does not have.",
    hint="In limosa.conf of {host}, below [{type}]: `server_listen = 0.0.0.0`",
    meaning="An address of one host is replaced by server_listen of the dest; QEMU does not start where that is absent.",
)
CLOCK_LOOSE = Check(
    code="clock_loose",
    sentence="Nothing keeps the clock of {host}.",
    hint="`timedatectl set-ntp true`",
    severity=Severity.WARNS,
    meaning="Messages that seem older than message_max_age_s are dropped, and so are their answers.",
)
CLOCK_APART = Check(
    code="clock_apart",
    sentence="The clock of {host} is {offset_s} s {direction} the conductor's; {bound_s} s are too much.",
    hint="On {host} and on the controllers: `timedatectl set-ntp true`",
    meaning="With more than half of message_max_age_s it stops migrations: messages are dropped as too old.",
)
BROKER_UNUSABLE = Check(
    code="broker_unusable",
    sentence="{host} cannot use the message bus: {reason}.",
    hint="On the broker: `systemctl status rabbitmq-server`; on {host}, in limosa.conf: "
    "`transport_url = rabbit://USER:PASSWORD@BROKER:5671/limosa`",
    meaning="RabbitMQ is away, or does not let this host in.",
)
BROKER_IN_CLEAR = Check(
    code="broker_in_clear",
    sentence="{host} speaks to RabbitMQ without TLS: its password can be heard on the way.",
    hint="In limosa.conf, below [oslo_messaging_rabbit]: `ssl = true`",
    severity=Severity.WARNS,
    meaning="Messages are signed and hold no secrets; the password of the host's user is one.",
)
CONDUCTOR_SILENT = Check(
    code="conductor_silent",
    sentence="No conductor answers {host}: {reason}.",
    hint="On a controller: `systemctl status limosa-conductor`",
    meaning="The bus takes messages, and nobody answers them.",
)
HOST_UNKNOWN = Check(
    code="host_unknown",
    sentence="The conductors do not believe {host}: {reason}.",
    hint=_JOIN,
    meaning="They do not know this host's key, or it is no conductor who has answered.",
)
