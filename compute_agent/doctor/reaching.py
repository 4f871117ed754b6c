"""How this host is found and reached by others: its name, its ports, the addresses of consoles."""

from collections.abc import Iterator

from common.diagnosis import Diagnosis
from common.doctor_checks import LISTEN_ADDRESS_ABSENT
from common.doctor_questions import CONSOLES, NAMES, PORTS
from common.pair_checks import NAME_UNRESOLVED, PORTS_TAKEN
from compute_agent.doctor.look import HostLook
from compute_agent.errors import NetworkError
from compute_agent.ports import Ports

_OWNER = "doctor"


def answer_names(look: HostLook) -> Iterator[Diagnosis]:
    host = look.host
    name = look.settings.inbound_address or host
    try:
        addresses = ", ".join(look.network.resolve(name))
    except NetworkError as error:
        yield NAMES.found(NAME_UNRESOLVED.warning(host, name=name, reason=error), host=host)
        return
    yield NAMES.passed(f"Here {name} is {addresses}.", host=host)


def answer_ports(look: HostLook) -> Iterator[Diagnosis]:
    host, (first, last) = look.host, look.settings.migration_ports
    if not look.settings.checks_ports:
        yield PORTS.passed("check_migration_ports is off.", host=host)
        return
    ports = Ports(look.network, first=first, last=last)
    try:
        held = ports.hold(_OWNER)
    finally:
        ports.release_all()
    if held:
        yield PORTS.passed(f"Ports from {first} to {last} are free for guests that arrive.", host=host)
    else:
        yield PORTS.found(PORTS_TAKEN.finding(host, port_min=first, port_max=last), host=host)


def answer_consoles(look: HostLook) -> Iterator[Diagnosis]:
    host, settings = look.host, look.settings
    addresses = {"vnc": settings.vnc_listen, "spice": settings.spice_listen}
    absent = [(kind, address) for kind, address in addresses.items() if not _is_here(look, address)]
    for kind, address in absent:
        finding = LISTEN_ADDRESS_ABSENT.finding(host, type=kind, address=address)
        yield CONSOLES.found(finding, host=host)
    if not absent:
        told = ", ".join(f"{kind} at {address}" for kind, address in addresses.items())
        yield CONSOLES.passed(f"Consoles would listen here: {told}.", host=host)


def _is_here(look: HostLook, address: str) -> bool:
    try:
        return look.network.has_address(address)
    except NetworkError:  # a name that does not resolve is none of ours
        return False
