"""Whether libvirt has our qemu hook, of this version, and calls it."""

import os
from collections.abc import Iterator

from common.diagnosis import Diagnosis
from common.doctor_checks import HOOK_OTHER, HOOK_UNSEEN
from common.doctor_questions import HOOK
from common.pair_checks import HOOK_MISSING
from compute_agent.doctor.look import HostLook
from compute_agent.libvirt_setup.command import hook_text
from compute_agent.libvirt_setup.daemon_start import started_at

_DAEMONS = ("libvirtd", "virtqemud")  # by the names of their units and pid files
HOOKS_MAX = 100


def answer_hook(look: HostLook) -> Iterator[Diagnosis]:
    path, host = look.settings.hook_path, look.host
    if not (path.is_file() and os.access(path, os.X_OK)):
        yield HOOK.found(HOOK_MISSING.finding(host, path=path), host=host)
        return
    if path.read_text(encoding="utf-8", errors="replace") != hook_text():
        yield HOOK.found(HOOK_OTHER.finding(host, path=path), host=host)
        return
    unit = _started_before_any_hook(look)
    if unit:
        yield HOOK.found(HOOK_UNSEEN.finding(host, unit=unit), host=host)
    else:
        yield HOOK.passed(f"{path} is there, and of this version.", host=host)


def _started_before_any_hook(look: HostLook) -> str:
    """The daemon that was; empty where none was, or it cannot be told.

    virHookInitialize looks at its start whether there is any hook for QEMU: `qemu`, or something in `qemu.d`.
    """
    hooks = [look.paths.hooks / "qemu", *list((look.paths.hooks / "qemu.d").glob("*"))[:HOOKS_MAX]]
    made_at = [hook.stat().st_ctime for hook in hooks if hook.exists()]
    if not made_at:
        return ""
    for name in _DAEMONS:
        began_at = started_at(name, run=look.paths.run, proc=look.paths.proc)
        if began_at is not None and began_at < min(made_at):
            return name
    return ""
