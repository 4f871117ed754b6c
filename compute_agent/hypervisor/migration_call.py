"""One migrateToURI3: on a connection of its own, in a native thread of its own, with the statistics of its end.

With UNDEFINE_SOURCE the source's domain is gone when the call returns, and its completed statistics with it: they come
only with the JOB_COMPLETED event, which libvirtd sends at about the time of its reply.
"""

import logging
from dataclasses import dataclass
from typing import Any

import libvirt

from common import concurrency
from common.migration import JobStatistics
from compute_agent.hypervisor import job
from compute_agent.hypervisor.connection import Connection
from compute_agent.hypervisor.driver import MigrateRequest
from compute_agent.hypervisor.flags import flag_names, require_safe
from compute_agent.hypervisor.libvirt_errors import HypervisorError, HypervisorOperationError

LOG = logging.getLogger(__name__)

STATISTICS_TIMEOUT_S = 0.2  # measured: the event comes within a few ms of the reply
WAIT_SLICE_S = 3600.0  # of one wait: libvirt ends the call, and keepalive a connection that is dead


@dataclass(frozen=True, slots=True, kw_only=True)
class _Returned:
    """migrateToURI3 came back."""

    error: HypervisorError | None


class LibvirtMigrationCall:
    """See `driver.MigrationCall`."""

    def __init__(self, *, uri: str, uuid: str, request: MigrateRequest, timeout_s: float) -> None:
        require_safe(request.flags)
        self._uuid = uuid
        self._request = request
        self._parameters = _parameters(request)
        self._domain: Any = None
        self._mailbox: concurrency.Mailbox[_Returned | JobStatistics] | None = concurrency.Mailbox()
        self._mailbox_lock = concurrency.native_rlock()
        self._connection = Connection.open(uri, timeout_s=timeout_s)
        try:
            self._connection.call(self._prepare, timeout_s=timeout_s, uuid=uuid)
        except HypervisorError:
            self.discard()
            raise

    def issue(self) -> JobStatistics | None:
        """See `driver.MigrationCall.issue`."""
        self._log_call()
        try:
            concurrency.start_native_thread(self._run, name=f"migrate-{self._uuid}")
            return self._wait_until_returned()
        finally:
            self.discard()

    def discard(self) -> None:
        """See `driver.MigrationCall.discard`."""
        self._domain = None  # before the close: it keeps the connection open
        self._connection.close()
        with self._mailbox_lock:
            mailbox, self._mailbox = self._mailbox, None
        if mailbox is not None:
            mailbox.close()

    def _wait_until_returned(self) -> JobStatistics | None:
        assert self._mailbox is not None
        statistics = None
        while True:  # ends with the native thread, which ends with libvirt's call
            message = self._mailbox.get(timeout_s=WAIT_SLICE_S)
            if isinstance(message, JobStatistics):
                statistics = message
            elif message is not None:
                break
        if message.error is not None:
            raise message.error
        if statistics is None:
            late = self._mailbox.get(timeout_s=STATISTICS_TIMEOUT_S)
            statistics = late if isinstance(late, JobStatistics) else None
        return statistics

    def _log_call(self) -> None:
        request = self._request
        LOG.info(
            "migrateToURI3 domain=%s dconnuri=%s migrate_uri=%s flags=%s (%d) bandwidth_mib_s=%d copied_disks=%s",
            self._uuid,
            request.dconnuri,
            request.migrate_uri or "-",
            "|".join(flag_names(request.flags)),
            request.flags,
            request.bandwidth_mib_s,
            ",".join(request.copied_disks) or "-",
        )

    # ---- in native threads

    def _prepare(self, handle: Any) -> None:
        self._domain = handle.lookupByUUIDString(self._uuid)
        self._connection.register(libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, self._on_completed, self._domain)

    def _run(self) -> None:
        error: HypervisorError | None = HypervisorOperationError(
            code=HypervisorOperationError.UNKNOWN_CODE,
            domain=0,
            text="the thread of the call broke, see the log",
        )
        try:
            self._connection.call_here(self._migrate, self._uuid)
            error = None
        except HypervisorError as raised:
            error = raised
        finally:  # whatever happened: somebody waits for it
            self._put(_Returned(error=error))

    def _migrate(self, _handle: Any) -> None:
        require_safe(self._request.flags)  # the last line before libvirt
        domain, self._domain = self._domain, None
        domain.migrateToURI3(self._request.dconnuri, self._parameters, self._request.flags)

    def _on_completed(
        self, _connection: Any, _domain: Any, parameters: dict[str, Any], _opaque: object
    ) -> None:
        """In libvirt's event thread, which may be on its way here while the call is closed."""
        self._put(job.to_statistics(parameters))

    def _put(self, message: _Returned | JobStatistics) -> None:
        with self._mailbox_lock:
            if self._mailbox is not None:
                self._mailbox.put(message)


def _parameters(request: MigrateRequest) -> dict[str, str | int | list[str]]:
    parameters: dict[str, str | int | list[str]] = {libvirt.VIR_MIGRATE_PARAM_DEST_XML: request.dest_xml}
    if request.persist_xml is not None:
        parameters[libvirt.VIR_MIGRATE_PARAM_PERSIST_XML] = request.persist_xml
    if request.migrate_uri is not None:
        parameters[libvirt.VIR_MIGRATE_PARAM_URI] = request.migrate_uri
    if request.bandwidth_mib_s:
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = request.bandwidth_mib_s
    if request.copied_disks:
        parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = list(request.copied_disks)
    if request.copied_disks and request.disks_port:
        parameters[libvirt.VIR_MIGRATE_PARAM_DISKS_PORT] = request.disks_port
    if request.tls_name:
        parameters[libvirt.VIR_MIGRATE_PARAM_TLS_DESTINATION] = request.tls_name
    return parameters
