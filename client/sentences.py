"""What `limosa` says in sentences: how a migration ended, why one was refused, what an error advises."""

from collections.abc import Iterable, Iterator

from client.exit_codes import was_refused
from client.progress import MIB
from common.checks import Finding, Severity
from common.errors import LimosaError
from common.filtering import PortInForce
from common.firewall_views import RuleView
from common.states import Direction, MigrationStatus
from common.views import MigrationView, StepTime

_INDENT = "    "


def of_error(error: LimosaError) -> str:
    """The error, all its findings and what to do, one line each."""
    lines = [str(error), *_of_findings(error.findings)]
    if error.advice:
        lines.append(error.advice)
    return "\n".join(lines)


def of_final(view: MigrationView) -> str:
    """How a finished migration ended, with its numbers; below it the findings, of a completed one only warnings."""
    is_completed = view.status is MigrationStatus.COMPLETED
    shown = (f for f in view.findings if not is_completed or f.severity is Severity.WARNS)
    return "\n".join([_ending(view), *_of_findings(shown)])


def of_accepted(view: MigrationView) -> str:
    return f"Migration {view.id} of {view.instance_name} is accepted; `limosa migration watch {view.id}` follows it."


def of_timeout(view: MigrationView, *, timeout_s: float) -> str:
    return f"{_still(view)} after {timeout_s:g} s; it goes on. {_how_to_go_on(view)}"


def of_interrupt(view: MigrationView) -> str:
    return f"Stopped watching; migration {view.id} of {view.instance_name} goes on. {_how_to_go_on(view)}"


def of_doubt(view: MigrationView) -> str:
    """For a migration whose outcome the conductors are still finding out."""
    waiting_for = view.waiting_for.rstrip(".")
    return f"{_still(view)}, and its outcome is not known yet: {waiting_for}. {_how_to_go_on(view)}"


def of_lost_sight(view: MigrationView) -> str:
    """For a migration that may be watched no more by whoever asks."""
    return f"What became of migration {view.id} of {view.instance_name} is not known here. It goes on without this command."


def of_silence(view: MigrationView) -> str:
    """For a migration of which nothing more can be heard."""
    return (
        f"No conductor answers: what became of migration {view.id} of {view.instance_name} is not known here. "
        f"It goes on without this command. `limosa migration watch {view.id}` follows it."
    )


def of_waiting(view: MigrationView) -> str:
    return f"Migration {view.id} is waiting: {view.waiting_for}"


def of_step(step: StepTime) -> str:
    """One line of a list of steps: the time in all, and how much of it the host itself worked.

    No time there: the command was given up before the host answered.
    """
    there = f" ({step.seconds_on_host:.3f} s there)" if step.seconds_on_host else ""
    return f"{step.seconds:8.3f} s{there} {step.step} on {step.host}"


def of_finding(finding: Finding) -> str:
    """One line: where, what, and the code by which documentation and scripts know it."""
    where = f"{finding.host}: " if finding.host else ""
    kind = "" if finding.severity is Severity.REFUSES else "warning: "
    return f"{where}{kind}{finding.sentence} [{finding.code}]"


def of_rule(rule: RuleView) -> str:
    """One line: its number and what it lets through; `icmp 8/0` is a type and its code."""
    joint = "/" if rule.protocol == "icmp" else "-"
    ends = (
        (rule.port_min,)
        if rule.port_min == rule.port_max and joint == "-"
        else (rule.port_min, rule.port_max)
    )
    what = f"{rule.protocol} {joint.join(str(end) for end in ends if end is not None)}".rstrip()
    preposition = "from" if rule.direction is Direction.INGRESS else "to"
    remote = rule.remote or "anybody" if rule.remote_group is None else f"group {rule.remote_group}"
    return f"{rule.id}: {rule.direction} IPv{rule.family} {what} {preposition} {remote}"


def of_port(port: PortInForce) -> str:
    """The rules of one interface, in the language of whatever filters there."""
    return "\n".join((f"{port.mac} {port.tap}".rstrip(), *(f"{_INDENT}{line}" for line in port.lines)))


def _of_findings(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"- {of_finding(finding)}"
        if finding.hint:
            yield f"{_INDENT}{finding.hint}"


def _ending(view: MigrationView) -> str:
    name = view.instance_name
    why = f": {view.reason.rstrip('.')}." if view.reason else "."
    match view.status:
        case MigrationStatus.COMPLETED:
            return f"{name} moved from {view.source} to {view.dest} in {view.seconds:.1f} s{_transfer(view)}."
        case MigrationStatus.CANCELLED:
            took = f"{view.seconds:.1f} s{_transfer(view)}"
            return f"Migration {view.id} was aborted after {took}; {name} runs on {view.source}{why}"
        case MigrationStatus.FAILED if was_refused(view):
            return f"{name} was not moved: checks refuse. It runs on {view.source}, nothing was changed."
        case MigrationStatus.FAILED:
            took = f"{view.seconds:.1f} s{_transfer(view)}"
            return f"{name} was not moved; it is safe on {view.source}, all is undone ({took}){why}"
        case _:
            return f"Migration {view.id} of {name} needs an operator (`limosa migration log {view.id}`){why}"


def _transfer(view: MigrationView) -> str:
    """Downtime and transfer, as far as they are known; begins with the comma that joins it."""
    parts = [] if view.downtime_ms is None else [f"downtime {view.downtime_ms} ms"]
    if view.status is MigrationStatus.COMPLETED and view.downtime_ms is None:
        # Whoever watched the job did not see its end: its last figures are of somewhere on the way.
        return ", its last figures are not known"
    if view.progress is not None:
        statistics = view.progress.statistics
        parts.append(f"{statistics.memory_processed / MIB:.0f} MiB sent")
        if statistics.disk_total:
            parts.append(f"{statistics.disk_processed / MIB:.0f} MiB of disks copied")
        if statistics.iteration is not None:
            parts.append("1 pass" if statistics.iteration == 1 else f"{statistics.iteration} passes")
        if statistics.memory_rate is not None:
            parts.append(f"{statistics.memory_rate / MIB:.1f} MiB/s")
    return "".join(f", {part}" for part in parts)


def _still(view: MigrationView) -> str:
    return f"Migration {view.id} of {view.instance_name} is {view.status.value}"


def _how_to_go_on(view: MigrationView) -> str:
    return f"`limosa migration watch {view.id}` follows it; `limosa migration abort {view.id}` aborts it."
