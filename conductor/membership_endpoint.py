"""The part of a conductor's endpoint that is about a host's own membership."""

from common.context import Context
from common.dispatch import exposed
from conductor.membership import Membership


class MembershipEndpoint:
    """Mixed into `conductor.endpoint.ConductorEndpoint`; `conductor.gate` lets each host speak for itself."""

    _membership: Membership

    @exposed
    def renew_certificate(self, _context: Context, host: str, request: str) -> str:
        return self._membership.renew_certificate(host, request)

    @exposed
    def leave(self, _context: Context, host: str) -> bool:
        return self._membership.leave(host)
