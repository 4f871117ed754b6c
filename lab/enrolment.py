"""The keys of a lab, made as an administrator makes them: bootstrap, a key for each host, and its registration."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lab import services, waiting
from lab.namespaces import Namespaces
from lab.paths import LabPaths

ADMINISTRATOR = "admin"
ADMINISTRATOR_KEY = Path("/etc/limosa/administrator.key")
_CONDUCTOR_PUBLIC_KEY = Path("/etc/limosa/conductor.pub")


def enrol(controller: Namespaces, compute: Sequence[Namespaces], *, paths: LabPaths) -> None:
    """Make the controller known to all, and all to the controller; nothing if that is done."""
    if _in(paths, controller, ADMINISTRATOR_KEY).exists():
        return
    _, *public_keys = waiting.all_at_once(
        [partial(_bootstrap, controller), *(partial(_make_key, host) for host in compute)]
    )
    for host, public_key in zip(compute, public_keys, strict=True):
        _in(paths, controller, _public_key_of(host)).write_text(public_key)
        shutil.copyfile(
            _in(paths, controller, _CONDUCTOR_PUBLIC_KEY), _in(paths, host, _CONDUCTOR_PUBLIC_KEY)
        )
    waiting.all_at_once([partial(_register, controller, host) for host in compute])


def _bootstrap(controller: Namespaces) -> str:
    names = ("--administrator", ADMINISTRATOR, "--administrator-key", str(ADMINISTRATOR_KEY))
    return _run(controller, services.CONDUCTOR, "bootstrap", *names)


def _make_key(host: Namespaces) -> str:
    return _run(host, services.AGENT, "make-key")


def _register(controller: Namespaces, host: Namespaces) -> str:
    public_key = str(_public_key_of(host))
    return _run(controller, services.CONDUCTOR, "host", "add", host.name, "--public-key", public_key)


def _run(host: Namespaces, service: str, *words: str) -> str:
    argv = [str(services.program(service)), *words, "--config-file", str(services.CONFIG_FILE)]
    return host.run(argv).stdout


def _public_key_of(host: Namespaces) -> Path:
    return Path("/etc/limosa") / f"{host.name}.pub"


def _in(paths: LabPaths, host: Namespaces, path: Path) -> Path:
    return paths.host(host.name) / path.relative_to("/")
