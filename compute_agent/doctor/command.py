"""`limosa-compute-agent doctor [PEER...]`: what is wrong with this host, and the command that mends it."""

import argparse
import json
from typing import TYPE_CHECKING, Final

from common import tools

if TYPE_CHECKING:
    from oslo_config import cfg

    from common.diagnosis import Diagnosis
    from compute_agent.doctor.look import HostLook

WOULD_STOP: Final = 4  # as of `limosa check`
_TEXT, _JSON = "text", "json"


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    doctor = commands.add_parser(
        "doctor",
        parents=[common],
        help="say what is wrong with this host, and what mends it; changes nothing",
    )
    doctor.add_argument(
        "peers", metavar="PEER", nargs="*", help="a host to which guests are to be moved: the way there, too"
    )
    doctor.add_argument(
        "-f", "--format", choices=(_TEXT, _JSON), default=_TEXT, help="one line each, or one list of objects"
    )
    doctor.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from common.diagnosis import line_of, would_stop
    from common.views import SCHEMA_VERSION
    from common.wire import to_primitive

    diagnoses = _diagnoses(arguments)
    if arguments.format == _JSON:
        rows = [{"schema_version": SCHEMA_VERSION, **to_primitive(each)} for each in diagnoses]
        tools.say(json.dumps(rows, indent=2))
    else:
        for each in diagnoses:
            tools.say(line_of(each))
    return WOULD_STOP if would_stop(diagnoses) else 0


def _diagnoses(arguments: argparse.Namespace) -> tuple["Diagnosis", ...]:
    from common import log
    from common.diagnosis import Diagnosis
    from common.doctor_questions import AGENT, BROKER, KEYS
    from compute_agent.doctor import membership
    from compute_agent.doctor.families import FAMILIES
    from compute_agent.doctor.peers import ask_named_peer
    from compute_agent.doctor.running import Asked, ask, ask_all

    log.setup("CRITICAL")  # what libraries have to say is said by the lines
    known = membership.configured(arguments.config_file)
    diagnoses: list[Diagnosis] = [*known.diagnoses]
    conf = known.conf
    asked: list[Asked] = [(AGENT, lambda: membership.answer_agent(conf))]
    if known.is_usable:
        asked = [
            (KEYS, lambda: membership.answer_keys(conf)),
            *asked,
            (BROKER, lambda: membership.answer_broker(conf)),
        ]
    diagnoses += ask_all(asked, host=conf.host)
    look = _look(conf)
    try:
        diagnoses += ask(FAMILIES, look)
        for peer in arguments.peers:
            diagnoses += ask_named_peer(look, peer)
    finally:
        look.hypervisor.stop()
    return tuple(diagnoses)


def _look(conf: "cfg.ConfigOpts") -> "HostLook":
    from compute_agent.doctor.look import HostLook
    from compute_agent.hypervisor.host_files import HostFiles
    from compute_agent.hypervisor.libvirt_hypervisor import LibvirtHypervisor
    from compute_agent.network import HostNetwork
    from compute_agent.settings import Settings

    settings = Settings.read(conf)
    files = HostFiles(qemu_conf=settings.qemu_conf, instances_path=settings.instances_path)
    hypervisor = LibvirtHypervisor(settings.libvirt_uri, timeout_s=conf.agent.libvirt_timeout_s, files=files)
    return HostLook(hypervisor=hypervisor, network=HostNetwork(), settings=settings)
