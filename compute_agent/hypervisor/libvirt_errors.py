"""What can go wrong at the hypervisor, in the few kinds that lead to different decisions.

libvirt's codes differ between versions for the same fault (a dest QEMU killed in a migration: 1 in libvirt 9.0, 9
in 11.3) and its texts are for people: only the codes named here are ever decided on, and never a text.
"""

from typing import ClassVar

from common.errors import LimosaError


class HypervisorError(LimosaError):
    """Anything that a `Hypervisor` raises."""

    message = "The hypervisor failed."


class HypervisorUnreachableError(HypervisorError):
    """No answer: connection closed, keepalive, timeout, libvirtd gone or starting. Evidence of nothing about a guest."""

    message = "libvirtd ({uri}) does not answer: {reason}"
    hint = "Look whether libvirtd runs on that host, and at its log."


class DomainNotFoundError(HypervisorError):
    """A live libvirtd says that it does not know this domain."""

    message = "libvirt knows no domain {uuid}."


class DomainExistsError(HypervisorError):
    """Another domain has this name or this uuid already."""

    message = "libvirt has another domain of this name or uuid: {reason}"


class JobAbsentError(HypervisorError):
    """There is no job to abort or to tune: it ended, or never began."""

    message = "Domain {uuid} has no job that could be changed."


class HypervisorOperationError(HypervisorError):
    """libvirt answered, with an error. `code` and `domain` are libvirt's numbers; the text is for the journal only."""

    message = "libvirt: {text} (code {code}, domain {domain})"
    UNKNOWN_CODE: ClassVar[int] = -1

    def __init__(self, *, code: int, domain: int, text: str) -> None:
        super().__init__(code=code, domain=domain, text=text)
        self.code = code
        self.domain = domain
        self.text = text


class RemoteFileGoneError(HypervisorError):
    """That host's libvirtd finds no such file, or may not read it."""

    message = "libvirt at {uri} finds no file {path}."
