"""Migrations as a conductor shows them: one of each way to end, and one under way."""

from common import checks
from common.migration import JobStatistics, Progress
from common.states import MigrationStatus, Phase, Verb
from common.views import StepTime
from tests.fakes.conductor import INSTANCE, MIGRATION, NOW, migration_view

MIB = 1024 * 1024
SHORT = checks.MEMORY_SHORT.finding(
    "compute2", instance="web1", needed_mib=96, free_mib=12, total_mib=512, ratio=1.0, reserved_mib=400
)


def step(verb: Verb, host: str) -> StepTime:
    return StepTime(step=verb.value, host=host, seconds=0.0125, seconds_on_host=0.01)


COMPLETED = migration_view(
    status=MigrationStatus.COMPLETED,
    phase=Phase.DONE,
    version=9,
    steps=(step(Verb.CHECK_DEST, "compute2"), step(Verb.PRE, "compute2"), step(Verb.LIVE, "compute1")),
    downtime_ms=87,
    seconds=2.34,
    progress=Progress(
        instance=INSTANCE,
        migration=MIGRATION,
        epoch=4,
        host="compute1",
        sequence=3,
        statistics=JobStatistics(memory_processed=104 * MIB, memory_rate=41 * MIB, iteration=4),
    ),
    finished_at=NOW,
)
REFUSED = migration_view(
    status=MigrationStatus.FAILED,
    phase=Phase.DONE,
    findings=(SHORT,),
    reason=SHORT.sentence,
    steps=(step(Verb.CHECK_DEST, "compute2"), step(Verb.ROLLBACK, "compute2")),
)
FAILED = migration_view(
    status=MigrationStatus.FAILED,
    phase=Phase.DONE,
    reason="the link broke",
    findings=(SHORT,),
    steps=(step(Verb.PRE, "compute2"), step(Verb.LIVE, "compute1")),
)
CANCELLED = migration_view(status=MigrationStatus.CANCELLED, phase=Phase.DONE, reason="aborted")
ERROR = migration_view(status=MigrationStatus.ERROR, phase=Phase.ALARM, reason="both hosts run it")
RUNNING = migration_view(status=MigrationStatus.RUNNING, phase=Phase.LIVE, version=5)
