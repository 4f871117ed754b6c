"""[media]: what an agent does about media and boot files that its host has not."""

from oslo_config import cfg

from common.states import MissingMedium

MEDIA_OPTIONS = [
    cfg.StrOpt(
        "missing_medium",
        default=MissingMedium.COPY.value,
        choices=[
            (MissingMedium.COPY.value, "it is copied from the source, compared, and stays on this host"),
            (MissingMedium.EJECT.value, "its drive is emptied; what lies in no drive is copied"),
            (MissingMedium.REFUSE.value, "the guest is not taken"),
        ],
        help="What happens when a guest is to come to this host with a medium (an ISO, a config drive), a read-only disk or "
        "a boot file (kernel, initrd, dtb, firmware) that is not here, or differs from the one that is. On a source, "
        "`eject` also lets a guest go whose medium has vanished.",
    ),
    cfg.StrOpt(
        "directory",
        help="Where a copy goes if it cannot have the path that the original has on the source; made when it is needed. "
        "QEMU's user must be able to pass through the directories above it. Unset: `media` below state_path.",
    ),
]
