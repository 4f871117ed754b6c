"""Answer `limosa check`: this host as a dest or a source, asked by a call, outside of any migration.

No epoch is accepted and the ledger is not written: what is answered here decides nothing, a migration checks again.
"""

from collections import deque

from common import log
from common.checks import CHECK_FAILED
from common.errors import LimosaError
from common.migration import CheckDestArguments, CheckSourceArguments, Examination
from compute_agent.checks.running import failure
from compute_agent.examiner import Examiner
from compute_agent.observation import Observation

FORGOTTEN_MAX = 1_000  # ids, the newest


class Asking:
    """Every method returns findings, also where libvirt is silent: no findings means that it looked and found none.

    How old a question is it does not ask: it could only compare the clocks of two hosts. Who gives up says `forget_probes`.
    """

    def __init__(self, examiner: Examiner, observation: Observation, *, host: str) -> None:
        self._examiner = examiner
        self._observation = observation
        self._host = host
        self._forgotten: deque[str] = deque(maxlen=FORGOTTEN_MAX)

    def examine_destination(self, check: str, instance: str, arguments: CheckDestArguments) -> Examination:
        """What speaks against this host; its probes stay until `forget_probes`."""
        if check in self._forgotten:
            return self._given_up()
        with log.fields(instance=instance, step="check"):
            try:
                examined = self._examiner.examine_dest(instance, arguments, owner=check)
            except LimosaError as error:
                self._examiner.forget(check)
                return self._failed(error)
        if check in self._forgotten:  # meanwhile: who asked has given up
            self._examiner.forget(check)
            return self._given_up()
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

    def _given_up(self) -> Examination:
        reason = "it was not made, as whoever asked for it had given up before"
        return Examination(findings=(CHECK_FAILED.finding(self._host, reason=reason),))

    def _failed(self, error: LimosaError) -> Examination:
        return Examination(findings=failure("libvirt", error, host=self._host).findings)
