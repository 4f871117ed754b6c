"""[volumes], as one frozen value."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from oslo_config import cfg

INITIATOR_NAME_FILE = Path("/etc/iscsi/initiatorname.iscsi")  # open-iscsi's
_KEY = "InitiatorName="


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSettings:
    initiator: str = ""  # empty: the one in the XML stays
    host_initiator: str = ""  # of the host's kernel, which attaches block devices
    grants: str = "none"  # none, tgtd, exec
    tgtadm: tuple[str, ...] = ("tgtadm",)
    grants_command: str = ""
    grants_timeout_s: float = 20.0
    secrets_path: Path = Path("/etc/limosa/secrets")

    @classmethod
    def read(cls, conf: cfg.ConfigOpts) -> "VolumeSettings":
        options = conf.volumes
        host_initiator = initiator_in(INITIATOR_NAME_FILE)
        # Unasked, a name in the XML stays: it may be the guest's own, and the only one that its target lets in.
        is_replaced = options.grants != "none"
        return cls(
            initiator=options.initiator or (host_initiator if is_replaced else ""),
            host_initiator=host_initiator,
            grants=options.grants,
            tgtadm=tuple(shlex.split(options.tgtadm)),
            grants_command=options.grants_command or "",
            grants_timeout_s=options.grants_timeout_s,
            secrets_path=Path(options.secrets_path),
        )


def initiator_in(path: Path) -> str:
    """The name that open-iscsi gave this host; empty where it did not."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    names = (line.removeprefix(_KEY).strip() for line in lines if line.startswith(_KEY))
    return next(names, "")
