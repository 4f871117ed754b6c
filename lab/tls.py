"""Certificates for a lab's hosts and a libvirt that speaks TLS, set up by libvirt-setup's own plan.

A program of its own, run once for all hosts with the venv's Python, since the lab itself needs Debian's only:

    python -m lab.tls HOSTS_DIRECTORY NAME=ADDRESS...

It writes into the trees of the hosts, before their namespaces exist.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from lab import network
from lab.errors import LabError, last_lines
from lab.paths import CHECKOUT, VENV_BIN, LabPaths

VALID_DAYS = 60
TIMEOUT_S = 60.0
_LIBVIRTD_CONF = Path("/etc/libvirt/libvirtd.conf")


def set_up(names: Iterable[str], *, paths: LabPaths) -> None:
    """Give each host a certificate of this lab's CA, and add to its libvirt's configuration. Raises LabError."""
    python = VENV_BIN / "python"
    if not python.exists():
        raise LabError(f"{python} does not exist", hint="run lab/bootstrap.sh")
    hosts = [f"{name}={network.addresses(name).management}" for name in names]
    command = [str(python), "-m", "lab.tls", str(paths.hosts), *hosts]
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise LabError("the hosts' certificates could not be made", hint=last_lines(done.stderr))


# ---- in the venv


def main(hosts: Path, named: Iterable[str]) -> None:
    from common import certificates

    authority, authority_key = certificates.new_authority("The lab", valid_days=VALID_DAYS)
    for one in named:
        name, _, address = one.partition("=")
        names = (name, address)
        request, key = certificates.new_request(name, names)
        certificate = certificates.issue(
            request,
            authority_pem=authority,
            authority_key_pem=authority_key,
            names=names,
            valid_days=VALID_DAYS,
        )
        _apply(hosts / name, authority=authority, certificate=certificate, key=key)


def _apply(tree: Path, *, authority: str, certificate: str, key: str) -> None:
    from compute_agent.libvirt_setup.command import hook_text
    from compute_agent.libvirt_setup.model import (
        Activation,
        Credentials,
        Daemon,
        Observed,
        Transport,
        Wish,
    )
    from compute_agent.libvirt_setup.plan import QEMU_CONF, make_plan

    files = {path: (tree / path.relative_to("/")).read_text() for path in (_LIBVIRTD_CONF, QEMU_CONF)}
    observed = Observed(
        daemon=Daemon.LIBVIRTD,
        activation=Activation.NONE,  # the lab starts it, with --listen
        arguments_file=Path("/etc/default/libvirtd"),
        files=files,
    )
    credentials = Credentials(authority=authority, certificate=certificate, key=key)
    wish = Wish(transport=Transport.TLS, credentials=credentials, hook=hook_text())
    for edit in make_plan(observed, wish).edits:
        path = tree / edit.path.relative_to("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(edit.text)
        path.chmod(edit.mode)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
