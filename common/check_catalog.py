"""All that can be found, and the page about it: `python -m common.check_catalog` prints docs/checks.md; a test compares."""

import string
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Final

from common import (
    certificate_checks,
    checks,
    device_checks,
    encryption_checks,
    firewall_checks,
    guest_checks,
    host_checks,
    media_checks,
    network_checks,
    obstacle_checks,
    pair_checks,
    place_checks,
    storage_checks,
    volume_checks,
)
from common.checks import Check, Severity

MODULES: Final[tuple[ModuleType, ...]] = (
    checks,
    host_checks,
    guest_checks,
    pair_checks,
    encryption_checks,
    obstacle_checks,
    media_checks,
    device_checks,
    network_checks,
    volume_checks,
    firewall_checks,
    storage_checks,
    place_checks,
    certificate_checks,
)
"""Where checks are declared, in the order of the page."""

_INTRODUCTION = """\
# What is checked before anything moves

Generated from the code by `python -m common.check_catalog`; do not edit.

`limosa check INSTANCE [HOST...]` makes all checks and moves nothing; `limosa live-migration` makes the same ones and goes on
if none refuses. All findings are told at once, each with its code, a sentence, the evidence (`-f json` shows it by name) and
what to do. A finding that *warns* does not stop a migration. A check that cannot be made is a finding as well:
`check_failed`. Below, what stands in capitals is filled in.

Hosts are asked eight at a time, and within 50 s for each 64 of them; one whose turn does not come in that time is shown
with `check_timed_out`. Where none is named, the first 1,000 are asked, by name.

A disk's storage is shown to be shared by a file that the dest writes beside the disk and the source reads back, and the
storage of each image below it (the base of an overlay) likewise. The agent writes and reads it; where it may not, because a
server maps root to nobody, QEMU's user does. A block device is shown to be shared by the names that its storage gives it (a
WWN, an iSCSI target's name and the unit, a volume's uuid on devices so named), a loop device by a probe beside its file,
never by a path; one that may be the same or not is refused. Whether QEMU's user may open the disk itself is a check of its
own, `disk_not_accessible`. Nothing of this is left behind. Media, read-only disks and boot files need not be shared: what
the dest lacks is copied there ahead of the guest, or its drive emptied, as [media] says (docs/storage.md).

Users and groups are compared between the source and the dest only. The conductor's host plays no part: a conductor opens no
disk and no file of a guest, all that it does with them is to send their names to the agents.
"""


def every_check() -> tuple[Check, ...]:
    """In the order in which they are declared."""
    return tuple(check for module in MODULES for check in _of(module))


def evidence_of(check: Check) -> tuple[str, ...]:
    """The names of what its sentence and its hint are filled with."""
    templates = (check.sentence, check.hint)
    names = (name for text in templates for _, name, _, _ in string.Formatter().parse(text) if name)
    return tuple(name for name in dict.fromkeys(names) if name != "host")


def render_page() -> str:
    """The text of docs/checks.md."""
    return "\n".join([_INTRODUCTION, *(entry(check) for check in every_check())])


def entry(check: Check, *, level: int = 2) -> str:
    """One check, below a heading of that level."""
    evidence = ", ".join(f"`{name}`" for name in evidence_of(check)) or "-"
    verb = "refuses" if check.severity is Severity.REFUSES else "warns"
    return f"""\
{"#" * level} {check.code}

{check.meaning}

- *{verb}:* {_shown(check.sentence)}
- *evidence:* {evidence}
- *what to do:* {_shown(check.hint)}
"""


def _of(module: ModuleType) -> Iterable[Check]:
    return (value for value in vars(module).values() if isinstance(value, Check))


def _shown(template: str) -> str:
    """A template as a person reads it: what is filled in stands in capitals."""
    parts = string.Formatter().parse(template)
    return "".join(text + (name or "").upper() for text, name, _, _ in parts)


if __name__ == "__main__":
    sys.stdout.write(render_page())
