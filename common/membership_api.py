"""What a host asks about its own membership: methods of `common.conductor_api.ConductorAPI`."""

from common.errors import LimosaError
from common.rpc import Client

MEMBERSHIP_TIMEOUT_S = 30.0


class HostBusyError(LimosaError):
    message = "{host} cannot leave: it is part of open migrations: {migrations}."
    hint = "`limosa migration list` shows them; wait for their end, or abort them."
    exit_code = 4


class MembershipCalls:
    """Mixed into ConductorAPI, which has the client."""

    _client: Client

    def renew_certificate(self, host: str, request: str) -> str:
        """A new certificate, PEM, for the key of this request."""
        return self._client.call("renew_certificate", host, request, kind=str, timeout_s=MEMBERSHIP_TIMEOUT_S)

    def leave(self, host: str) -> bool:
        """Have the conductors forget key, code and user of this host; raises HostBusyError.

        Whether anything is left to be removed at RabbitMQ: it goes within a minute.
        """
        return self._client.call("leave", host, kind=bool, timeout_s=MEMBERSHIP_TIMEOUT_S)
