"""On the source: who else works on the guest. Each kind of job has a code, because each is waited for elsewhere."""

from collections.abc import Iterator

from common.checks import Finding
from common.obstacle_checks import BACKUP_RUNS, DUMP_RUNS, JOB_RUNS, MIGRATED_BY_OTHERS, SAVE_RUNS
from compute_agent.checks.look import SourceLook
from compute_agent.hypervisor.driver import JobKind, JobOperation

_BY_OPERATION = {
    JobOperation.BACKUP: BACKUP_RUNS,
    JobOperation.DUMP: DUMP_RUNS,
    JobOperation.SAVE: SAVE_RUNS,
    JobOperation.MIGRATION_OUT: MIGRATED_BY_OTHERS,
    JobOperation.MIGRATION_IN: MIGRATED_BY_OTHERS,
}


def check_jobs(look: SourceLook) -> Iterator[Finding]:
    seen = look.observed.snapshot
    if seen.job is JobKind.NONE:
        return
    check = _BY_OPERATION.get(seen.operation, JOB_RUNS)
    evidence = {"instance": look.guest.name or look.instance}
    if check in (MIGRATED_BY_OTHERS, JOB_RUNS):
        is_named = seen.operation is not JobOperation.UNKNOWN
        evidence["operation"] = seen.operation if is_named else "a call that has not ended"
    yield check.finding(look.settings.host, **evidence)
