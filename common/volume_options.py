"""[volumes]: how this host gets at disks that are on servers."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from oslo_config import cfg

# RFC 3720, section 3.2.6.3.
_INITIATOR = re.compile(
    r"(iqn\.\d{4}-\d{2}\.[a-z0-9.-]+(:[^\s/]+)?|eui\.[0-9A-Fa-f]{16}|naa\.[0-9A-Fa-f]{16,32})"
)

VOLUME_OPTIONS = [
    cfg.StrOpt(
        "initiator",
        help="The iSCSI name (IQN) by which QEMU of this host is known to targets: put in the place of the source's "
        "name in the XML of a guest that comes. A guest whose XML has none is known to targets by a name of its own, and "
        "keeps it. Unset: with grants = none the name in the XML stays, else it is that of /etc/iscsi/initiatorname.iscsi.",
    ),
    cfg.StrOpt(
        "grants",
        default="none",
        choices=[
            ("none", "every host may reach every volume, or somebody else sees to it"),
            ("tgtd", "iSCSI targets of tgtd: its access list, and live sessions are ended at the withdrawal"),
            ("exec", "the operator's grants_command"),
        ],
        help="How access to a volume is given to this host before a guest comes, and withdrawn from it when the guest has "
        "left.",
    ),
    cfg.StrOpt(
        "tgtadm",
        default="tgtadm",
        help="The command that administers tgtd, with its first arguments; %s is replaced by the server's name. For a "
        "target on another host: ssh -o BatchMode=yes root@%s tgtadm.",
    ),
    cfg.StrOpt(
        "grants_command",
        help="For grants = exec: a program that is given JSON on its input (action: grant or withdraw; host, instance, "
        "initiator, volume) and answers by its exit code: 0 it is done, 10 it was so already, anything else it failed, "
        "and the last line that it said tells why. Run again, it must do no harm.",
    ),
    cfg.FloatOpt(
        "grants_timeout_s",
        default=20.0,
        min=1,
        max=300,
        help="Seconds that one such command may take; then it is killed, and has failed.",
    ),
    cfg.StrOpt(
        "secrets_path",
        default="/etc/limosa/secrets",
        help="Directory with the values of libvirt secrets that guests may need here: one file a secret, its name the "
        "secret's uuid, its content the value. Files and directory must be root's alone (mode 0600 and 0700).",
    ),
]


def problems(conf: cfg.ConfigOpts) -> Iterator[tuple[str, str, str]]:
    """What cannot work, as (group, option, reason)."""
    options = conf.volumes
    if options.initiator is not None and not _INITIATOR.fullmatch(options.initiator):
        yield "volumes", "initiator", f"{options.initiator!r} is no iSCSI name: iqn.2001-04.com.example:host"
    if options.grants == "exec" and not options.grants_command:
        yield "volumes", "grants_command", "grants = exec needs it"
    if options.grants_command and not Path(options.grants_command).is_absolute():
        yield "volumes", "grants_command", f"{options.grants_command!r} is no absolute path"
    try:
        words = shlex.split(options.tgtadm)
    except ValueError as error:
        yield "volumes", "tgtadm", f"{options.tgtadm!r} cannot be read as a command: {error}"
    else:
        if not words:
            yield "volumes", "tgtadm", "it is empty"
    if not Path(options.secrets_path).is_absolute():
        yield "volumes", "secrets_path", f"{options.secrets_path!r} is no absolute path"
