"""Every option of Limosa, by group, with the text that its operator reads in the sample.

Names and meanings under [libvirt], [vnc] and [spice] are Nova's, so that a nova.conf's lines can be taken over.
"""

import socket

from oslo_config import cfg

from common import migration_flags
from common.backend import BACKEND_VARIABLE, Backend
from common.broker_options import BROKER_OPTIONS
from common.enrolment_options import ENROLMENT_OPTIONS
from common.firewall_options import FIREWALL_OPTIONS
from common.media_options import MEDIA_OPTIONS
from common.network_options import NETWORK_OPTIONS
from common.pki_options import PKI_OPTIONS
from common.states import VersionRule
from common.storage_options import STORAGE_OPTIONS
from common.tls_options import TLS_OPTIONS
from common.volume_options import VOLUME_OPTIONS

BANDWIDTH_MAX_MIB_S = 2**31  # libvirt converts it to bytes in 64 bits
DAY_S = 86_400

DEFAULT_OPTIONS = [
    cfg.StrOpt(
        "host",
        default=socket.gethostname(),
        sample_default="<hostname>",
        help="The name of this host: what `limosa service list` shows, what a migration's HOST is compared with, and "
        "the address under which other hosts reach its libvirtd unless [libvirt]live_migration_inbound_addr is set. "
        "Do not change it while guests are being migrated.",
    ),
    cfg.StrOpt(
        "state_path",
        default="/var/lib/limosa",
        help="Directory for what must survive a restart: the agent's ledger and permits, the conductor's SQLite file. "
        "On a local disk; a ledger that is lost must be given its floor by a conductor. libvirt's qemu hook looks for "
        "permits below /var/lib/limosa: for another directory set LIMOSA_STATE_PATH in libvirtd's environment, too.",
    ),
    cfg.StrOpt(
        "log_level",
        default="INFO",
        ignore_case=True,
        choices=[
            ("DEBUG", "everything"),
            ("INFO", "one line for each change of state"),
            ("WARNING", "what somebody may have to act on"),
            ("ERROR", "what somebody must act on"),
        ],
        help="Least severe messages to log.",
    ),
    cfg.StrOpt(
        "concurrency_backend",
        default=Backend.EVENTLET.value,
        choices=[
            (Backend.EVENTLET.value, "green threads"),
            (Backend.THREADING.value, "native threads, for when eventlet is a problem"),
        ],
        help="How a service does many things at once. "
        f"The environment variable {BACKEND_VARIABLE} has precedence.",
    ),
    cfg.FloatOpt(
        "report_interval",
        default=5.0,
        min=0.2,
        max=300,
        help="Seconds between two heartbeats of a compute agent.",
    ),
    cfg.FloatOpt(
        "service_down_time",
        default=20.0,
        min=1,
        max=3600,
        help="Seconds without a heartbeat after which a host counts as down: nothing new is started there. It says "
        "nothing about its guests. At least twice report_interval.",
    ),
    cfg.IntOpt(
        "message_max_age_s",
        default=300,
        min=10,
        max=DAY_S,
        help="Seconds after which a message that was held up is dropped, unread; what still matters is sent again. "
        "The clocks of all hosts must agree better than this.",
    ),
]

IDENTITY_OPTIONS = [
    cfg.StrOpt(
        "conductor_key",
        default="/etc/limosa/conductor.key",
        help="Private key of the conductors, the same on all controllers. `limosa-conductor bootstrap` makes it. Whoever "
        "has it commands every host.",
    ),
    cfg.StrOpt(
        "conductor_public_key",
        default="/etc/limosa/conductor.pub",
        help="Public key of the conductors: needed by every compute agent and client, who obey and believe nobody else.",
    ),
    cfg.StrOpt(
        "host_key",
        default="/etc/limosa/host.key",
        help="Private key of this host's compute agent. `limosa-compute-agent make-key` makes it, "
        "`limosa-conductor host add` registers its public half.",
    ),
    cfg.StrOpt(
        "administrator",
        sample_default="<login name>",
        help="Whose name the `limosa` command signs with.",
    ),
    cfg.StrOpt(
        "administrator_key",
        default="~/.config/limosa/administrator.key",
        help="The private key that belongs to that name.",
    ),
    cfg.StrOpt(
        "administrator_key_text",
        secret=True,
        help="That key itself, instead of a file: the PEM text without its first and last line. As in the client.conf that "
        "`limosa admin create` writes.",
    ),
    cfg.StrOpt(
        "conductor_public_key_text",
        help="Likewise, instead of conductor_public_key.",
    ),
]

DATABASE_OPTIONS = [
    cfg.StrOpt(
        "connection",
        secret=True,
        sample_default="sqlite:///<state_path>/conductor/conductor.sqlite",
        help="SQLAlchemy URL of the conductors' database. SQLite serves a single conductor. For several: "
        "mysql+pymysql://USER:PASSWORD@HOST/limosa or postgresql+psycopg://USER:PASSWORD@HOST/limosa.",
    ),
    cfg.IntOpt(
        "max_retries",
        default=10,
        min=0,
        max=1_000,
        help="How often a transaction is tried again that a deadlock or a lost connection has undone.",
    ),
]

CONDUCTOR_OPTIONS = [
    cfg.FloatOpt(
        "check_timeout_s",
        default=60.0,
        min=1,
        max=3600,
        help="Seconds that a host has for answering one check of a migration before it counts as refusing.",
    ),
    cfg.FloatOpt(
        "examine_timeout_s",
        default=10.0,
        min=1,
        max=20,
        help="Seconds that a host has for answering `limosa check`, and for what is told besides when a request is refused.",
    ),
    cfg.FloatOpt(
        "pre_live_migration_timeout_s",
        default=300.0,
        min=1,
        max=DAY_S,
        help="Seconds that the dest has for preparing itself; then the preparation is undone and the migration fails.",
    ),
    cfg.FloatOpt(
        "silence_timeout_s",
        default=30.0,
        min=2,
        max=3600,
        help="Seconds without progress or outcome of a running migration after which the source is asked what it sees.",
    ),
    cfg.FloatOpt(
        "resend_interval_s",
        default=5.0,
        min=0.2,
        max=300,
        help="Seconds after which a command whose outcome is not recorded is sent again.",
    ),
    cfg.FloatOpt(
        "sweep_interval_s",
        default=1.0,
        min=0.1,
        max=60,
        help="Seconds between two looks at the open migrations for what is to be sent again or has run out of time.",
    ),
    cfg.IntOpt(
        "migrate_max_retries",
        default=3,
        min=0,
        max=100,
        help="How many further hosts are tried when one refuses a migration that named none.",
    ),
    cfg.FloatOpt(
        "ram_allocation_ratio",
        default=1.0,
        min=0.1,
        max=16.0,
        help="Guests may be given this many times a host's memory.",
    ),
    cfg.IntOpt(
        "reserved_host_memory_mb",
        default=512,
        min=0,
        help="MiB of each host's memory that guests do not get.",
    ),
    cfg.FloatOpt(
        "cpu_allocation_ratio",
        default=16.0,
        min=0.1,
        max=256.0,
        help="Guests may be given this many virtual CPUs for each CPU of a host.",
    ),
    cfg.IntOpt(
        "reserved_host_cpus",
        default=0,
        min=0,
        help="CPUs of each host that guests do not get.",
    ),
    cfg.FloatOpt(
        "disk_allocation_ratio",
        default=1.0,
        min=0.1,
        max=16.0,
        help="Disks that are copied to a host may fill this many times its disk space. What lies on shared storage is not "
        "copied and takes no space.",
    ),
    cfg.IntOpt(
        "reserved_host_disk_mb",
        default=0,
        min=0,
        help="MiB of each host's disk space that disks of guests do not get.",
    ),
    cfg.StrOpt(
        "hypervisor_version_check",
        default=VersionRule.NOT_OLDER.value,
        choices=[
            (VersionRule.NOT_OLDER.value, "the dest's hypervisor is not older than the source's"),
            (VersionRule.EQUAL.value, "both have the same version"),
            (VersionRule.NONE.value, "any; machine type and CPU are still checked on the dest"),
        ],
        help="Which hosts a guest may move to, by the version of their hypervisor.",
    ),
]

AGENT_OPTIONS = [
    cfg.FloatOpt(
        "full_report_interval",
        default=60.0,
        min=1,
        max=DAY_S,
        help="Seconds between two complete listings of a host's guests. What changes in between is reported at once.",
    ),
    cfg.FloatOpt(
        "libvirt_timeout_s",
        default=10.0,
        min=1,
        max=300,
        help="Seconds that an ordinary call to libvirt may take before libvirtd counts as not answering.",
    ),
    cfg.FloatOpt(
        "call_drain_s",
        default=45.0,
        min=35.0,
        max=600,
        help="Seconds for which libvirtd must have answered without a break before a migration call of which nothing "
        "was heard since counts as ended. Must exceed libvirt's own wait for a job (30 s) plus its keepalive.",
    ),
    cfg.FloatOpt(
        "progress_interval_s",
        default=1.0,
        min=0.1,
        max=60,
        help="Least seconds between two progress messages of one migration.",
    ),
    cfg.StrOpt(
        "instances_path",
        default="/var/lib/libvirt/images",
        help="The directory whose file system counts as this host's disk space.",
    ),
    cfg.StrOpt(
        "qemu_conf",
        default="/etc/libvirt/qemu.conf",
        help="libvirt's configuration of QEMU on this host: the agent reads there which lock manager is used.",
    ),
]

LIBVIRT_OPTIONS = [
    cfg.StrOpt(
        "connection_uri",
        default="qemu:///system",
        help="The libvirt of this host.",
    ),
    cfg.StrOpt(
        "live_migration_uri",
        help="URI by which the source's libvirtd reaches the dest's, with %s for the dest. Unset: "
        "qemu+SCHEME://%s/system with live_migration_scheme. Use one of the two.",
    ),
    cfg.StrOpt(
        "live_migration_scheme",
        help="How the source's libvirtd talks to the dest's: tcp (the default), tls, ssh, ... Not used if "
        "live_migration_uri is set.",
    ),
    cfg.StrOpt(
        "live_migration_inbound_addr",
        help="Address or name of this host for incoming migrations: put into live_migration_uri by the source, and the "
        "address that the guest's memory is sent to. Unset: the host's name, and the second is left to libvirt.",
    ),
    cfg.PortOpt(
        "migration_port_min",
        default=49152,
        min=1024,
        help="First port that libvirt takes for the memory of a guest that arrives: as in qemu.conf of this host.",
    ),
    cfg.PortOpt(
        "migration_port_max",
        default=49215,
        min=1024,
        help="Last such port.",
    ),
    cfg.BoolOpt(
        "check_migration_ports",
        default=True,
        help="Hold a port of that range open for a moment when a guest is to come, and have the source try to reach it.",
    ),
    cfg.BoolOpt(
        "require_disk_lock",
        default=False,
        help="Refuse a guest with a writable disk that no lock between hosts protects here; otherwise it is a warning.",
    ),
    cfg.ListOpt(
        "live_migration_flag",
        default=list(migration_flags.DEFAULT),
        help="Flags of each live migration. Mandatory: "
        + ", ".join(migration_flags.PREFIX + name for name in migration_flags.MANDATORY)
        + ". Permitted besides: "
        + ", ".join(migration_flags.PREFIX + name for name in migration_flags.OPTIONAL)
        + ". VIR_MIGRATE_POSTCOPY has no effect yet: no migration is switched to post-copy.",
    ),
    cfg.IntOpt(
        "live_migration_bandwidth",
        default=0,
        min=0,
        max=BANDWIDTH_MAX_MIB_S,
        help="Most MiB/s that a live migration may use; 0 is libvirt's own limit.",
    ),
    cfg.IntOpt(
        "live_migration_disks_port",
        default=0,
        min=0,
        max=65_535,
        help="Port of the dest to which disks are copied; 0: libvirt takes a free one of migration_port_min and _max. A "
        "fixed port lets one guest at a time bring disks to a host.",
    ),
    cfg.IntOpt(
        "live_migration_downtime",
        default=500,
        min=100,
        help="Longest pause of the guest, in milliseconds, that is allowed for the hand-over at the end.",
    ),
    cfg.IntOpt(
        "live_migration_downtime_steps",
        default=10,
        min=3,
        help="In how many steps the allowed pause grows to live_migration_downtime.",
    ),
    cfg.IntOpt(
        "live_migration_downtime_delay",
        default=75,
        min=3,
        help="Seconds between two of these steps for each GiB of the guest's memory (at least 2 GiB are counted).",
    ),
    cfg.IntOpt(
        "live_migration_completion_timeout",
        default=800,
        min=0,
        help="Seconds for each GiB of the guest's memory (at least 2 GiB are counted) after which a migration that has "
        "not ended is given up as live_migration_timeout_action says; 0: never.",
    ),
    cfg.StrOpt(
        "live_migration_timeout_action",
        default="abort",
        choices=[
            ("abort", "the guest stays on its source"),
            (
                "force_complete",
                "pause the guest, or switch to post-copy; not in this version: refused at start",
            ),
        ],
        help="What happens after live_migration_completion_timeout.",
    ),
    cfg.FloatOpt(
        "live_migration_poll_interval",
        default=0.5,
        min=0.05,
        max=10,
        help="Seconds between two looks at a running migration. libvirt's events wake the agent besides.",
    ),
]


def _server_listen(what: str) -> cfg.StrOpt:
    return cfg.StrOpt(
        "server_listen",
        default="127.0.0.1",
        help=f"Address of this host where the {what} server of a guest that arrives listens.",
    )


VNC_OPTIONS = [_server_listen("VNC")]
SPICE_OPTIONS = [_server_listen("SPICE")]

GROUPS: dict[str | None, list[cfg.Opt]] = {
    None: DEFAULT_OPTIONS,
    "identity": IDENTITY_OPTIONS,
    "broker": BROKER_OPTIONS,
    "pki": PKI_OPTIONS,
    "enrolment": ENROLMENT_OPTIONS,
    "database": DATABASE_OPTIONS,
    "conductor": CONDUCTOR_OPTIONS,
    "agent": AGENT_OPTIONS,
    "libvirt": [*LIBVIRT_OPTIONS, *TLS_OPTIONS],
    "media": MEDIA_OPTIONS,
    "vnc": VNC_OPTIONS,
    "spice": SPICE_OPTIONS,
    "network": NETWORK_OPTIONS,
    "volumes": VOLUME_OPTIONS,
    "firewall": FIREWALL_OPTIONS,
    "storage": STORAGE_OPTIONS,
}
