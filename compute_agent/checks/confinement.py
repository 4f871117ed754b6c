"""On the dest: whether libvirt locks disks and confines guests by the same means on both hosts, and has our hook."""

import os
from collections.abc import Iterator

from common.checks import Finding
from common.pair_checks import HOOK_MISSING, LOCK_MANAGER_DIFFERS, SECURITY_MODEL_DIFFERS
from compute_agent.checks.look import DestLook

_NO_LOCK_MANAGER = "QEMU's own locks only"


def check_lock_manager(look: DestLook) -> Iterator[Finding]:
    if look.source is not None and look.source.lock_manager != look.dest.lock_manager:
        yield LOCK_MANAGER_DIFFERS.finding(
            look.settings.host,
            source=look.source_host,
            source_manager=look.source.lock_manager or _NO_LOCK_MANAGER,
            dest_manager=look.dest.lock_manager or _NO_LOCK_MANAGER,
        )


def check_security_models(look: DestLook) -> Iterator[Finding]:
    """A host that names none has not told: libvirt has at least `none` or `dac`."""
    source = () if look.source is None else look.source.security_models
    if source and look.dest.security_models and set(source) != set(look.dest.security_models):
        yield SECURITY_MODEL_DIFFERS.finding(
            look.settings.host,
            source=look.source_host,
            source_models=", ".join(source),
            dest_models=", ".join(look.dest.security_models),
        )


def check_hook(look: DestLook) -> Iterator[Finding]:
    path = look.settings.hook_path
    if not (path.is_file() and os.access(path, os.X_OK)):
        yield HOOK_MISSING.finding(look.settings.host, path=path)
