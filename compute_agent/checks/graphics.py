"""On the dest: whether each console of the guest would find the address that it is to listen on."""

from collections.abc import Iterator

from common.checks import Finding
from common.pair_checks import GRAPHICS_ADDRESS_ABSENT
from compute_agent.checks.look import DestLook
from compute_agent.errors import NetworkError
from compute_agent.hypervisor.domain_xml import is_of_one_host


def check_graphics(look: DestLook) -> Iterator[Finding]:
    """Addresses of one host are rewritten to ours; loopback and wildcard stay, and are everywhere."""
    rewritten = {"vnc": look.settings.vnc_listen, "spice": look.settings.spice_listen}
    for kind, listen in dict.fromkeys(look.guest.graphics):
        if not is_of_one_host(listen):
            continue
        address = rewritten.get(kind, listen)
        if not _is_here(look, address):
            yield GRAPHICS_ADDRESS_ABSENT.finding(
                look.settings.host, instance=look.guest.name, type=kind, address=address
            )


def _is_here(look: DestLook, address: str) -> bool:
    try:
        return look.network.has_address(address)
    except NetworkError:  # a name that does not resolve is none of ours
        return False
