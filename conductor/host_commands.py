"""`limosa-conductor host`: which hosts may speak, and the codes with which further ones join."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from common.tools import say

if TYPE_CHECKING:
    from oslo_config import cfg

Arguments = argparse.Namespace

_NEXT = """\
Within {hours:g} hours, once, on {host}:

    limosa-compute-agent join {url} {code}
"""

_CERTIFICATE = """\
If it has joined with a code, its certificate stays good for the other hosts' libvirt, until {at} at the latest. What
shuts it out there, too: a list of the others in tls_allowed_dn_list of libvirtd.conf (CN=HOST), or a new CA."""


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    host = commands.add_parser("host", help="which hosts may speak").add_subparsers(
        required=True, metavar="COMMAND"
    )
    add = host.add_parser("add", parents=[common], help="let a host join")
    add.add_argument("host", metavar="HOST", help="as the others reach it, and as it will be called")
    how = add.add_mutually_exclusive_group()
    how.add_argument(
        "--name",
        metavar="NAME",
        action="append",
        default=[],
        help="a further name or address that its certificate is to be good for; may be repeated",
    )
    how.add_argument(
        "--public-key",
        metavar="FILE",
        type=Path,
        help="register this key, which `limosa-compute-agent make-key` printed, instead of making a join code",
    )
    add.add_argument("--replace", action="store_true", help="in place of the key that is registered")
    add.set_defaults(run=_add)
    remove = host.add_parser("remove", parents=[common], help="believe nothing more of it")
    remove.add_argument("host", metavar="HOST")
    remove.set_defaults(run=_remove)
    listing = host.add_parser("list", parents=[common], help="the registered ones, and those that may join")
    listing.set_defaults(run=_list)


def _add(arguments: Arguments, conf: "cfg.ConfigOpts") -> None:
    if arguments.public_key is not None:
        from conductor.registration import add_host

        add_host(conf, arguments.host, arguments.public_key, is_replacing=arguments.replace)
        say(f"{arguments.host} is registered; its compute agent may speak for it from now on.")
        return
    from conductor.inviting import invite

    invitation = invite(conf, arguments.host, names=arguments.name, is_replacing=arguments.replace)
    hours = conf.enrolment.code_valid_s / 3600
    say(_NEXT.format(hours=hours, host=arguments.host, url=invitation.url, code=invitation.code))


def _remove(arguments: Arguments, conf: "cfg.ConfigOpts") -> None:
    from conductor.inviting import remove_host

    good_until = remove_host(conf, arguments.host)
    say(f"{arguments.host} is not registered any more: nothing that its compute agent says is believed.")
    if good_until is not None:
        say(_CERTIFICATE.format(host=arguments.host, at=good_until))


def _list(_arguments: Arguments, conf: "cfg.ConfigOpts") -> None:
    from conductor.inviting import listed_hosts

    for line in listed_hosts(conf):
        say(line)
