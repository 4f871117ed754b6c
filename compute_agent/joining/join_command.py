"""`limosa-compute-agent join BROKER-URL CODE`."""

import argparse
import socket
import sys
from pathlib import Path
from typing import Final

from common import tools
from common.backend import CONFIG_PATH

CODE_MAX_CHARS: Final = 1_000

_NEXT: Final = """\
{host} has joined: its configuration is {config}, its certificate {certificate}.
Next: systemctl enable --now limosa-compute-agent"""


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    joining = commands.add_parser(
        "join", parents=[common], help="make this host a member, with the code of `limosa-conductor host add`"
    )
    joining.add_argument("url", metavar="BROKER-URL", help="amqps://HOST[:PORT][/VIRTUAL-HOST]")
    joining.add_argument("code", metavar="CODE", help="the join code; - reads it from standard input")
    joining.add_argument(
        "--host", metavar="HOST", help="join as this, although the machine is called otherwise"
    )
    joining.add_argument(
        "--ca-file",
        metavar="FILE",
        type=Path,
        help="a copy of the CA's certificate, if the broker shows none",
    )
    joining.add_argument(
        "--insecure", action="store_true", help="take an amqp:// broker: nothing is kept from who listens"
    )
    joining.set_defaults(run=_join)


def _join(arguments: argparse.Namespace) -> None:
    from common.broker_url import BrokerUrl
    from common.join_code import JoinCode
    from compute_agent.joining.door import BrokerDoor
    from compute_agent.joining.join import Request, join

    text = sys.stdin.read(CODE_MAX_CHARS) if arguments.code == "-" else arguments.code
    code = JoinCode.parse(text)
    _refuse_other_host(code.host, meant=arguments.host)
    request = Request(
        url=BrokerUrl.parse(arguments.url),
        code=code,
        config_file=Path(arguments.config_file[-1] if arguments.config_file else CONFIG_PATH),
        ca_file=arguments.ca_file,
        is_insecure=arguments.insecure,
    )
    where = join(request, BrokerDoor())
    tools.say(_NEXT.format(host=code.host, config=where.config_file, certificate=where.certificate))


def _refuse_other_host(host: str, *, meant: str | None) -> None:
    """A code that was carried to the wrong machine would let this one speak for the other."""
    from compute_agent.joining.join import OtherHostError

    if meant is not None:
        names = {meant}
    else:
        name = socket.gethostname()
        names = {name, name.partition(".")[0], socket.getfqdn()}
    if host not in names:
        raise OtherHostError(host=host, name=meant or socket.gethostname())
