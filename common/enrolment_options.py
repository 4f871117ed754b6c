"""[enrolment]: how hosts join."""

from oslo_config import cfg

ENROLMENT_OPTIONS = [
    cfg.IntOpt(
        "code_valid_s",
        default=86_400,
        min=60,
        max=31 * 86_400,
        help="Seconds for which the code that `limosa-conductor host add` prints lets its host join, once.",
    ),
]
