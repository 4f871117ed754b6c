"""What `doctor` says of a host, or of two: one line for each thing that it has looked at, passed or to be mended.

A *question* is one thing that is looked at; what can be found is a `common.checks.Check`, as of a migration. Which checks
belong to which question is declared in `common.doctor_questions`, and stands in docs/doctor.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from common.checks import CHECK_FAILED, Check, Finding, Severity
from common.migration import DestinationFacts


class Health(StrEnum):
    """How it is about one thing."""

    PASS = "pass"
    WARN = "warn"  # somebody may want to mend it; no migration is stopped
    FIX = "fix"  # it stops migrations


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One line. `fix` ends with the command, or the line of a file, that mends it."""

    result: Health
    question: str
    host: str
    sentence: str
    peer: str = ""  # the other host, where it is about two; the one that guests would be moved to
    code: str = ""  # of the finding; empty: passed
    fix: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`meaning`: one sentence for docs/doctor.md. `checks`: all that can be found."""

    word: str
    meaning: str
    checks: tuple[Check, ...]

    def passed(self, sentence: str, *, host: str, peer: str = "") -> Diagnosis:
        return Diagnosis(result=Health.PASS, question=self.word, host=host, peer=peer, sentence=sentence)

    def found(self, finding: Finding, *, host: str, peer: str = "") -> Diagnosis:
        """Raises ValueError for what the question does not declare: the page would not have it."""
        if finding.code not in {check.code for check in (*self.checks, CHECK_FAILED)}:
            raise ValueError(f"the question {self.word} declares no {finding.code}")
        return Diagnosis(
            result=Health.FIX if finding.severity is Severity.REFUSES else Health.WARN,
            question=self.word,
            host=host,
            peer=peer,
            code=finding.code,
            sentence=finding.sentence,
            fix=finding.hint,
            evidence=finding.evidence,
        )

    def all_found(self, findings: Iterable[Finding], *, host: str, peer: str = "") -> tuple[Diagnosis, ...]:
        return tuple(self.found(finding, host=host, peer=peer) for finding in findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory with disks of guests, and what it is on; `source` is `SERVER:/EXPORT` or a device."""

    path: str
    file_system: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSheet:
    """What its peers must know of a host."""

    reach: DestinationFacts
    places: tuple[Place, ...] = ()
    version: str = ""  # of its agent


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDiagnosis:
    """What one host's agent says of its host."""

    diagnoses: tuple[Diagnosis, ...]
    time_s: float  # its clock's, when it answered
    sheet: HostSheet | None = None  # None: its libvirt is silent


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorRequest:
    """Which hosts are to be looked at; none: all, as far as one request may ask."""

    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineCpu:
    """What one libvirt makes of several CPUs."""

    model: str
    features: tuple[str, ...]  # policy and name: "require aes"
    xml: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineView:
    """The CPU that every one of these hosts can give a guest."""

    model: str
    features: tuple[str, ...]
    hosts: tuple[str, ...]
    xml: str  # for the domain's XML


def would_stop(diagnoses: Iterable[Diagnosis]) -> bool:
    """Whether anything of it stops a migration."""
    return any(each.result is Health.FIX for each in diagnoses)


def line_of(diagnosis: Diagnosis) -> str:
    """As a person reads it."""
    where = f"{diagnosis.host} -> {diagnosis.peer}" if diagnosis.peer else diagnosis.host
    told = " ".join(filter(None, (diagnosis.sentence, diagnosis.fix)))
    return f"{diagnosis.result:<4}  {where}  {diagnosis.question}: {told}"
