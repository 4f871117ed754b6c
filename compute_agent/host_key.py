"""`limosa-compute-agent make-key`: the key by which the conductors will know this host."""

import argparse
import os

from common import tools


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    make = commands.add_parser(
        "make-key", parents=[common], help="make this host's key, and print its public half"
    )
    make.set_defaults(run=_make_key)


def _make_key(arguments: argparse.Namespace) -> None:
    """Nothing but the public key goes to stdout: `... make-key >compute1.pub`. Run twice it prints the same again."""
    from common import credentials
    from common.identity import PrivateKey

    path = credentials.key_path(tools.configuration(arguments), "host_key")
    if os.path.lexists(path):
        key = PrivateKey.load(path)
    else:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        key = PrivateKey.generate()
        key.save(path)
    tools.say(key.public.to_pem().rstrip())
