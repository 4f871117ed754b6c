"""The part of `common.conductor_api.ConductorAPI` that is about whether hosts are fit: `limosa doctor`, `cpu-baseline`."""

from common.diagnosis import BaselineView, Diagnosis, DoctorRequest
from common.rpc import Client

# As long as a conductor asks for at most, with a margin for the way.
DOCTOR_TIMEOUT_S = 150.0
BASELINE_TIMEOUT_S = 90.0


class DoctorCalls:
    """Requests of clients. Nothing is changed by any of them."""

    _client: Client

    def diagnose(self, request: DoctorRequest) -> tuple[Diagnosis, ...]:
        """All lines about these hosts, and each pair of them. Raises InvalidRequestError, HostNotFoundError."""
        return self._client.call("diagnose", request, kind=tuple[Diagnosis, ...], timeout_s=DOCTOR_TIMEOUT_S)

    def cpu_baseline(self, hosts: tuple[str, ...]) -> BaselineView:
        """Raises NoBaselineError, HostSilentError, HostNotFoundError, InvalidRequestError."""
        return self._client.call("cpu_baseline", hosts, kind=BaselineView, timeout_s=BASELINE_TIMEOUT_S)
