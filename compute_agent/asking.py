"""Answer `limosa check`: this host as a dest or a source, asked by a call, outside of any migration.

No epoch is accepted and the ledger is not written: what is answered here decides nothing, a migration checks again.
"""

import time
from collections import deque
from collections.abc import Callable

from common import log
from common.errors import LimosaError
from common.migration import CheckDestArguments, CheckSourceArguments, Examination
from compute_agent.checks.running import failure
from compute_agent.examiner import Examiner
from compute_agent.observation import Observation

# Whoever asked has given up by then (conductor.checking waits 20 s at most), and would not come back for the probes.
ASKED_MAX_S = 30.0
FORGOTTEN_MAX = 1_000  # ids, the newest


class Asking:
    """Every method returns findings, also where libvirt is silent."""

    def __init__(
        self,
        examiner: Examiner,
        observation: Observation,
        *,
        host: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._examiner = examiner
        self._observation = observation
        self._host = host
        self._clock = clock
        self._forgotten: deque[str] = deque(maxlen=FORGOTTEN_MAX)

    def examine_destination(
        self, check: str, instance: str, arguments: CheckDestArguments, *, asked_at: float
    ) -> Examination:
        """What speaks against this host; its probes stay until `forget_probes`."""
        if check in self._forgotten or self._clock() - asked_at > ASKED_MAX_S:
            return Examination(findings=())
        with log.fields(instance=instance, step="check"):
            try:
                examined = self._examiner.examine_dest(instance, arguments, owner=check)
            except LimosaError as error:
                self._examiner.forget(check)
                return self._failed(error)
        if check in self._forgotten:  # meanwhile: who asked has given up
            self._examiner.forget(check)
        return Examination(findings=examined.found.findings, dest_facts=examined.facts)

    def examine_source(self, instance: str, arguments: CheckSourceArguments) -> Examination:
        """What speaks against moving this guest to that dest."""
        with log.fields(instance=instance, step="check"):
            try:
                observed = self._observation.glance(instance)
                examined = self._examiner.examine_source(instance, arguments, observed=observed)
            except LimosaError as error:
                return self._failed(error)
        return Examination(findings=examined.found.findings)

    def forget_probes(self, check: str) -> None:
        """What is asked under this id may be read after this, or be at work: an agent that hung reads all at once."""
        self._forgotten.append(check)
        self._examiner.forget(check)

    def _failed(self, error: LimosaError) -> Examination:
        return Examination(findings=failure("libvirt", error, host=self._host).findings)
