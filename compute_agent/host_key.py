"""`limosa-compute-agent make-key`: the key by which the conductors will know this host."""

import argparse
import os
from collections.abc import Sequence

from common.tools import run, say


def main(argv: Sequence[str]) -> int:
    """Make the key, unless there is one; the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="limosa-compute-agent",
        description="Without a command: run this host's agent, with --config-file FILE (default /etc/limosa/limosa.conf).",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    make = commands.add_parser("make-key", help="make this host's key, and print its public half")
    make.add_argument(
        "--config-file", metavar="FILE", action="append", default=[], help="default /etc/limosa/limosa.conf"
    )
    arguments = parser.parse_args(argv)
    return run(lambda: _make_key(arguments.config_file))


def _make_key(config_files: Sequence[str]) -> None:
    """Nothing but the public key goes to stdout: `... make-key >compute1.pub`. Run twice it prints the same again."""
    from common import config, credentials
    from common.identity import PrivateKey

    conf = config.load([word for path in config_files for word in ("--config-file", path)], service="tool")
    path = credentials.key_path(conf, "host_key")
    if os.path.lexists(path):
        key = PrivateKey.load(path)
    else:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        key = PrivateKey.generate()
        key.save(path)
    say(key.public.to_pem().rstrip())
