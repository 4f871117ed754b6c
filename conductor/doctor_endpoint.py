"""The part of a conductor's endpoint that is about whether hosts are fit."""

from common.context import Context
from common.diagnosis import BaselineView, Diagnosis, DoctorRequest
from common.dispatch import exposed
from conductor.cpu_baseline import CpuBaseline
from conductor.doctor import Doctor


class DoctorEndpoint:
    """Mixed into `conductor.endpoint.ConductorEndpoint`."""

    _doctor: Doctor
    _cpu_baseline: CpuBaseline

    @exposed
    def diagnose(self, _context: Context, request: DoctorRequest) -> tuple[Diagnosis, ...]:
        return self._doctor.diagnose(request)

    @exposed
    def cpu_baseline(self, _context: Context, hosts: tuple[str, ...]) -> BaselineView:
        return self._cpu_baseline.of(hosts)
