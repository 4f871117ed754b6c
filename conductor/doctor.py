"""`limosa doctor`: ask hosts about themselves and about each other. Nothing is changed.

First each host tells of itself, and holds ports open; then each is told what the others have said, and looks at its way to
them. A host that is silent is one line, and no peer of any other.
"""

import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.agent_api import AgentAPI
from common.checks import CHECK_FAILED, CHECK_TIMED_OUT, SERVICE_DOWN, Finding
from common.diagnosis import Diagnosis, DoctorRequest, HostDiagnosis, HostSheet
from common.doctor_checks import CLOCK_APART
from common.doctor_questions import CLOCK, HEARD
from common.errors import (
    HostNotFoundError,
    InvalidRequestError,
    LimosaError,
    ServiceUnreachableError,
    describe,
)
from common.host_checks import SERVICE_DISABLED
from conductor.abreast import End, ask_abreast
from conductor.capacity import HostStatus, Limits, is_up
from conductor.db import hosts
from conductor.db.engine import Database

HOSTS_MAX = 32  # of one request: each of them looks at all others
HOSTS_AT_ONCE = 16
HOST_TIMEOUT_S = 20.0
HOSTS_TIMEOUT_S = 40.0  # two turns
PEERS_TIMEOUT_S = 45.0
ALL_PEERS_TIMEOUT_S = 90.0
CLOCK_WARNED_S = 5.0

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a host says, and how far its clock is ahead of ours."""

    diagnosis: HostDiagnosis
    offset_s: float


class Doctor:
    """Asks the agents. `message_max_age_s` is how old a message may seem; clocks must agree better than that."""

    def __init__(
        self, database: Database, agents: AgentAPI, *, limits: Limits, message_max_age_s: float
    ) -> None:
        self._database = database
        self._agents = agents
        self._limits = limits
        self._message_max_age_s = message_max_age_s

    def diagnose(self, request: DoctorRequest) -> tuple[Diagnosis, ...]:
        """By host in the order of their names, first each alone. Raises InvalidRequestError, HostNotFoundError."""
        asked = named_hosts(self._database, request.hosts)
        lines: list[Diagnosis] = []
        check = str(uuid.uuid4())
        heard = [name for name, status in asked.items() if is_up(status, self._limits)]
        try:
            told = self._ask_hosts(heard, check)
            for name, status in asked.items():
                lines += self._of_host(status, told.get(name))
            lines += self._of_pairs(_sheets(told))
        finally:
            self._forget(heard, check)
        return tuple(lines)

    # ---- within

    def _ask_hosts(self, names: Sequence[str], check: str) -> Mapping[str, End[_Told]]:
        def ask(host: str) -> _Told:
            diagnosis = self._agents.diagnose_host(host, check, timeout_s=HOST_TIMEOUT_S)
            # It looked at its clock last: what is not known is the way back, some ms.
            return _Told(diagnosis=diagnosis, offset_s=diagnosis.time_s - time.time())

        return ask_abreast(names, ask, at_once=HOSTS_AT_ONCE, timeout_s=HOSTS_TIMEOUT_S)

    def _of_host(self, status: HostStatus, end: End[_Told] | None) -> Iterator[Diagnosis]:
        host = status.name
        if end is None:
            down = SERVICE_DOWN.finding(host, age_s=f"{status.heard_s:.0f}")
            yield HEARD.found(down, host=host)
            return
        if end.result is None:
            yield HEARD.found(_no_answer(host, end, "about itself", HOSTS_TIMEOUT_S), host=host)
            return
        if status.disabled_reason is not None:
            disabled = SERVICE_DISABLED.warning(host, reason=status.disabled_reason)
            yield HEARD.found(disabled, host=host)
        else:
            yield HEARD.passed("It is heard, and answers.", host=host)
        yield self._clock(host, end.result)
        yield from end.result.diagnosis.diagnoses

    def _clock(self, host: str, told: _Told) -> Diagnosis:
        offset_s = abs(told.offset_s)
        if offset_s <= CLOCK_WARNED_S:
            return CLOCK.passed("It agrees with the conductor's.", host=host)
        stops_s = self._message_max_age_s / 2
        make = CLOCK_APART.finding if offset_s > stops_s else CLOCK_APART.warning
        direction = "ahead of" if told.offset_s > 0 else "behind"
        bound_s = f"{stops_s if offset_s > stops_s else CLOCK_WARNED_S:g}"
        finding = make(host, offset_s=f"{offset_s:.0f}", direction=direction, bound_s=bound_s)
        return CLOCK.found(finding, host=host)

    def _of_pairs(self, sheets: Mapping[str, HostSheet]) -> Iterator[Diagnosis]:
        """Each host's view of all others."""
        if len(sheets) < 2:
            return

        def ask(host: str) -> tuple[Diagnosis, ...]:
            others = tuple(sheet for name, sheet in sheets.items() if name != host)
            return self._agents.diagnose_peers(host, sheets[host], others, timeout_s=PEERS_TIMEOUT_S)

        asked = ask_abreast(list(sheets), ask, at_once=HOSTS_AT_ONCE, timeout_s=ALL_PEERS_TIMEOUT_S)
        for host, end in asked.items():
            if end.result is None:
                finding = _no_answer(host, end, "about its way to others", ALL_PEERS_TIMEOUT_S)
                yield HEARD.found(finding, host=host)
            else:
                yield from end.result

    def _forget(self, names: Sequence[str], check: str) -> None:
        for host in names:
            try:
                self._agents.forget_probes_later(host, check)
            except LimosaError as error:
                LOG.warning("%s will close its ports by itself: %s", host, error)


def named_hosts(database: Database, names: tuple[str, ...]) -> Mapping[str, HostStatus]:
    """Those that are named, or all. Raises InvalidRequestError for too many, HostNotFoundError."""
    with database.reading() as session:
        known = hosts.read_hosts(session)
    for name in names:
        if name not in known:
            raise HostNotFoundError(host=f"{name:.80}")
    asked = {name: known[name] for name in names or sorted(known)}
    if len(asked) > HOSTS_MAX:
        reason = f"There are {len(asked)} hosts; name at most {HOSTS_MAX} at a time."
        raise InvalidRequestError(reason=reason)
    return asked


def _sheets(told: Mapping[str, End[_Told]]) -> Mapping[str, HostSheet]:
    results = {name: end.result for name, end in told.items()}
    return {
        name: result.diagnosis.sheet
        for name, result in results.items()
        if result is not None and result.diagnosis.sheet is not None
    }


def _no_answer(host: str, end: End[Any], side: str, timeout_s: float) -> Finding:
    if end.error is None or isinstance(end.error, ServiceUnreachableError):
        waited_s = timeout_s if end.error is None else float(end.error.fields.get("timeout_s", timeout_s))
        return CHECK_TIMED_OUT.finding(host, side=side, timeout_s=f"{waited_s:g}")
    if not isinstance(end.error, LimosaError):
        LOG.error("%s could not be asked", host, exc_info=end.error)
    return CHECK_FAILED.finding(host, reason=f"{side}: {describe(end.error).rstrip('.')}")
