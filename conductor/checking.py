"""Find out what speaks against moving a guest, host by host, without moving it: `limosa check`, and each refusal.

First what the database knows, then the agents, some hosts at a time: the dest looks and writes its probes, the source reads
them, the dest removes them. No epoch, no row, no claim: a migration checks again, under its own.
"""

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from common.agent_api import AgentAPI
from common.checks import (
    CHECK_FAILED,
    CHECK_TIMED_OUT,
    DEST_IS_SOURCE,
    DEST_UNKNOWN,
    HYPERVISOR_SILENT,
    INSTANCE_BUSY,
    NO_CANDIDATE,
    SERVICE_DOWN,
    Finding,
    refusing,
)
from common.errors import (
    InvalidRequestError,
    LimosaError,
    RefusedError,
    ServiceUnreachableError,
    describe,
)
from common.facts import GuestFacts
from common.migration import (
    CheckDestArguments,
    CheckSourceArguments,
    DestinationFacts,
    Examination,
)
from common.states import CheckResult, StorageMode
from common.transfer import Declarations
from common.views import HOSTS_PER_CHECK_MAX, CheckRequest, HostCheckView, LiveMigrationRequest
from conductor.abreast import End, ask_abreast
from conductor.capacity import HostStatus, Limits
from conductor.db import hosts, instances
from conductor.db.engine import Database
from conductor.db.models import NAME_MAX_CHARS
from conductor.declarations import declarations_of
from conductor.prechecks import check_guest, check_named_dest

CONCURRENT_HOSTS_MAX = 8  # each costs the source, which they share, two or three of its 20 native threads
ASK_TIMEOUT_S = 50.0  # in all; less than common.conductor_api.CHECK_TIMEOUT_S, so that what is known is told
FORGET_TIMEOUT_S = 5.0

_SILENT = {check.code for check in (SERVICE_DOWN, HYPERVISOR_SILENT)}
# While a guest is being moved its dest has it, and that is no news.
_POINTLESS = {check.code for check in (DEST_UNKNOWN, DEST_IS_SOURCE, INSTANCE_BUSY)}

_AS_DEST, _AS_SOURCE = "as the dest", "as the source"

Answered = tuple[tuple[Finding, ...], float]
"""All findings of a host, and the seconds until it had answered."""

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A guest, and what the database says against each dest; that of the guest and its source is said for each."""

    instance: str  # uuid
    name: str
    source: str
    arguments: CheckDestArguments
    against: Mapping[str, tuple[Finding, ...]]

    def is_asked(self, dest: str) -> bool:
        """Whether anybody could say more."""
        return not any(finding.code in _POINTLESS for finding in self.against[dest])

    def answers(self, host: str, *, dest: str) -> bool:
        """Whether this host, the dest or the source, is not known to be silent."""
        return not any(finding.code in _SILENT and finding.host == host for finding in self.against[dest])


class Checking:
    """Asks the agents; changes nothing."""

    def __init__(self, database: Database, agents: AgentAPI, *, limits: Limits, timeout_s: float) -> None:
        self._database = database
        self._agents = agents
        self._limits = limits
        self._timeout_s = timeout_s

    def check(
        self, request: CheckRequest, *, of_person: tuple[Finding, ...] = ()
    ) -> tuple[HostCheckView, ...]:
        """One row for each host that is named, or for all but the guest's own, by name, a page at a time.

        `of_person` is what speaks against whoever asks, and is said for each host. Of those whose turn has not come
        when the time is over, that is told. Raises InvalidRequestError, InstanceNotFoundError, InstanceAmbiguousError;
        RefusedError if there is no host to ask.
        """
        refuse_bad_names(request.instance, *request.hosts)
        if len(request.hosts) > HOSTS_PER_CHECK_MAX:
            raise InvalidRequestError(
                reason=f"{len(request.hosts)} hosts are named; name at most {HOSTS_PER_CHECK_MAX} at a time."
            )
        case = _page(self._case(request.instance, request.hosts, request.storage), after=request.after)
        if not case.against and not request.after:
            alone = NO_CANDIDATE.finding(instance=case.name)
            raise RefusedError(instance=case.name, count=1, findings=(alone,))
        answers = self._ask(case).items()
        return tuple(_view(host, of_person + findings, seconds) for host, (findings, seconds) in answers)

    def more(self, request: LiveMigrationRequest, known: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """What the agents have to add to a refusal, so that all reasons are told at once."""
        try:
            named = () if request.dest is None else (request.dest,)
            case = self._case(request.instance, named, request.storage)
        except LimosaError:  # it has gone since
            return ()
        asked = {
            host: found
            for host, found in list(case.against.items())[:HOSTS_PER_CHECK_MAX]
            if case.is_asked(host)
        }
        answers = self._ask(replace(case, against=asked)).values()
        return _added(known, (finding for findings, _ in answers for finding in findings))

    def _case(self, instance: str, named: tuple[str, ...], storage: StorageMode) -> Case:
        with self._database.reading() as session:
            row = instances.find(session, instance)
            guest, facts = instances.status(session, row), instances.facts_of(row)
            declared = declarations_of(session, facts, storage=storage)
            known = hosts.read_hosts(session)
        source = known.get(guest.host)
        of_guest = check_guest(guest, source, limits=self._limits)
        names = named or tuple(name for name in sorted(known) if name != guest.host)
        return Case(
            instance=guest.uuid,
            name=guest.name,
            source=guest.host,
            arguments=dest_arguments(facts, guest.host, source, limits=self._limits, declared=declared),
            against={
                name: (*of_guest, *check_named_dest(guest, name, known, limits=self._limits))
                for name in names
            },
        )

    # ---- the agents

    def _ask(self, case: Case) -> Mapping[str, Answered]:
        """All findings and the seconds that they took, by host."""
        started = time.monotonic()
        asked = ask_abreast(
            list(case.against),
            lambda host: self._examine(case, host),
            at_once=CONCURRENT_HOSTS_MAX,
            timeout_s=ASK_TIMEOUT_S,
        )
        waited_s = time.monotonic() - started
        return {
            host: end.result or ((*case.against[host], _unanswered(host, end)), waited_s)
            for host, end in asked.items()
        }

    def _examine(self, case: Case, dest: str) -> Answered:
        found, started = case.against[dest], time.monotonic()
        if case.is_asked(dest):
            check = str(uuid.uuid4())
            try:
                found += _added(found, self._examine_both(case, dest, check))
            finally:
                if case.answers(dest, dest=dest):
                    self._forget(dest, check)
        return found, time.monotonic() - started

    def _examine_both(self, case: Case, dest: str, check: str) -> tuple[Finding, ...]:
        on_dest = on_source = Examination(findings=())
        if case.answers(dest, dest=dest):
            on_dest = self._answer(
                dest,
                _AS_DEST,
                lambda: _looked_at(
                    dest,
                    self._agents.examine_destination(
                        dest, check, case.instance, case.arguments, timeout_s=self._timeout_s
                    ),
                ),
            )
        # A dest that could not be looked at has seen no disk either: those are not held against it a second time.
        facts = on_dest.dest_facts or DestinationFacts(
            connect_address=dest, host=dest, examined=case.arguments.disks
        )
        if case.answers(case.source, dest=dest):
            told = CheckSourceArguments(dest_facts=facts, declared=case.arguments.declared)
            on_source = self._answer(
                case.source,
                _AS_SOURCE,
                lambda: self._agents.examine_source(
                    case.source, case.instance, told, timeout_s=self._timeout_s
                ),
            )
        return on_dest.findings + on_source.findings

    def _answer(self, host: str, side: str, ask: Callable[[], Examination]) -> Examination:
        """Its answer; no answer, or an error, is a finding as well."""
        try:
            return ask()
        except ServiceUnreachableError:
            late = CHECK_TIMED_OUT.finding(host, side=side, timeout_s=f"{self._timeout_s:g}")
            return Examination(findings=(late,))
        except LimosaError as error:
            failed = CHECK_FAILED.finding(host, reason=f"{side}: {str(error).rstrip('.')}")
            return Examination(findings=(failed,))

    def _forget(self, dest: str, check: str) -> None:
        try:
            self._agents.forget_probes(dest, check, timeout_s=FORGET_TIMEOUT_S)
            return
        except LimosaError as error:
            LOG.warning("%s has not removed its probes yet: %s", dest, error)
        try:
            self._agents.forget_probes_later(dest, check)
        except LimosaError as error:
            LOG.warning("%s will remove its probes by itself: %s", dest, error)


def _looked_at(dest: str, examination: Examination) -> Examination:
    """The same; an answer that says neither what speaks against the dest nor how it is reached is not "it fits"."""
    if examination.dest_facts is not None or refusing(examination.findings):
        return examination
    nothing = CHECK_FAILED.finding(dest, reason="it answered without having looked")
    return replace(examination, findings=(*examination.findings, nothing))


def dest_arguments(
    guest: GuestFacts,
    source: str,
    status: HostStatus | None,
    *,
    limits: Limits,
    declared: Declarations | None = None,
) -> CheckDestArguments:
    """What a dest is told of the guest and of its source."""
    return CheckDestArguments(
        name=guest.name,
        memory_mib=guest.memory_mib,
        vcpus=guest.vcpus,
        machine=guest.machine,
        disks=tuple((disk.target, disk.type, disk.source, disk.device) for disk in guest.disks),
        facts=guest,
        source=None if status is None else status.facts,
        source_host=source,
        ram_allocation_ratio=limits.ram_allocation_ratio,
        declared=replace(declared or Declarations(), disk_allocation_ratio=limits.disk_allocation_ratio),
    )


def refuse_bad_names(instance: str, *named: str) -> None:
    """Refuse what cannot be the name of anything; raises InvalidRequestError."""
    for what, name in (("instance", instance), *(("host", host) for host in named)):
        if not 0 < len(name) <= NAME_MAX_CHARS:
            raise InvalidRequestError(
                reason=f"The name of the {what} must have 1 to {NAME_MAX_CHARS} characters."
            )


def _page(case: Case, *, after: str) -> Case:
    """So many of its hosts as one request may ask; with `after`, those whose names come later."""
    names = [host for host in case.against if host > after] if after else list(case.against)
    return replace(case, against={host: case.against[host] for host in names[:HOSTS_PER_CHECK_MAX]})


def _unanswered(host: str, end: End[Answered]) -> Finding:
    """Of a host whose asking ended without a result: one broken answer must not hide those of all others."""
    if end.error is not None:
        LOG.error("%s could not be asked", host, exc_info=end.error)
        return CHECK_FAILED.finding(
            host, reason=f"internal error, see the conductor's log: {describe(end.error)}"
        )
    side = _AS_DEST if end.has_begun else f"{_AS_DEST}, whose turn did not come,"
    return CHECK_TIMED_OUT.finding(host, side=side, timeout_s=f"{ASK_TIMEOUT_S:g}")


def _added(known: tuple[Finding, ...], further: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that are not known yet: the database and an agent may find the same, each with figures of its own.

    Checks that could not be made have one code for all of them, and are told apart by their evidence.
    """
    seen = {_likeness(finding) for finding in known}
    added: list[Finding] = []
    for finding in further:
        if _likeness(finding) not in seen and finding not in added:
            added.append(finding)
    return tuple(added)


def _likeness(finding: Finding) -> tuple[object, ...]:
    evidence = tuple(sorted(finding.evidence.items())) if finding.code == CHECK_FAILED.code else ()
    return finding.code, finding.host, evidence


def _view(host: str, findings: tuple[Finding, ...], seconds: float) -> HostCheckView:
    result = CheckResult.REFUSES if refusing(findings) else CheckResult.FITS
    return HostCheckView(host=host, result=result, findings=findings, seconds=round(seconds, 3))
