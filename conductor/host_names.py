"""The names for which a host's certificate is good: its own, those that were declared, and where its name leads to."""

import ipaddress
import logging
import socket
from collections.abc import Sequence

NAMES_MAX = 32

LOG = logging.getLogger(__name__)


def names_for(host: str, declared: Sequence[str]) -> tuple[str, ...]:
    """The host's own name first. One that cannot be looked up here is told in the log, and is no error."""
    names = (host, *declared, *_addresses(host))
    return tuple(dict.fromkeys(names))[:NAMES_MAX]


def _addresses(host: str) -> tuple[str, ...]:
    """As this controller reaches it. Debian's 127.0.1.1 of one's own name says nothing to others."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label of it is empty, or longer than 63
        LOG.warning("%s cannot be looked up, and its certificate has no address: %s", host, error)
        return ()
    addresses = (str(entry[4][0]).partition("%")[0] for entry in found)
    return tuple(address for address in addresses if not ipaddress.ip_address(address).is_loopback)
