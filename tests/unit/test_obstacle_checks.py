"""What stands in the way of a guest on its source: each obstacle has a code of its own, and none is told twice."""

from dataclasses import replace

import pytest

from common.checks import Finding, Severity
from common.migration import CheckSourceArguments, DestinationFacts
from common.states import Result, Verb
from compute_agent.hypervisor.driver import JobKind, JobOperation
from compute_agent.hypervisor.looks import NO_OBSTACLES, BlockJob, BlockJobKind, Obstacles
from tests.fakes.domain import FakeDomain


@pytest.fixture
def domain(hosts) -> FakeDomain:
    return hosts.source.hypervisor.domains[hosts.uuid]


def check(hosts):
    reach = DestinationFacts(connect_address="compute2")
    return hosts.source.do(hosts.command(Verb.CHECK_SOURCE, 2, CheckSourceArguments(dest_facts=reach)))


def found(hosts) -> list[Finding]:
    return list(check(hosts).findings)


def test_a_guest_without_obstacles_passes(hosts):
    outcome = check(hosts)
    assert (outcome.result, outcome.findings) == (Result.OK, ())


@pytest.mark.parametrize(
    ("obstacles", "code", "told"),
    [
        (replace(NO_OBSTACLES, has_managed_save=True), "managed_save_exists", "managedsave-remove web1"),
        (replace(NO_OBSTACLES, snapshots=("monday", "tuesday")), "snapshots_exist", "monday, tuesday"),
        (
            replace(NO_OBSTACLES, block_jobs=(BlockJob(disk="vda", kind=BlockJobKind.COPY),)),
            "block_job_runs",
            "(copy) works on disk vda",
        ),
    ],
)
def test_an_obstacle_refuses_and_says_what_to_do(hosts, domain, obstacles: Obstacles, code: str, told: str):
    domain.obstacles = obstacles
    outcome = check(hosts)
    assert outcome.result is Result.REFUSED
    [finding] = outcome.findings
    assert finding.code == code
    assert told in finding.sentence + finding.hint


def test_checkpoints_are_a_warning(hosts, domain):
    domain.obstacles = replace(NO_OBSTACLES, checkpoints=tuple(f"day{number}" for number in range(7)))
    outcome = check(hosts)
    assert outcome.result is Result.OK
    [finding] = outcome.findings
    assert (finding.code, finding.severity) == ("checkpoints_lost", Severity.WARNS)
    assert finding.evidence["checkpoints"] == "day0, day1, day2, day3, day4 and 2 more"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (JobOperation.BACKUP, "backup_runs"),
        (JobOperation.DUMP, "dump_runs"),
        (JobOperation.SAVE, "save_runs"),
        (JobOperation.SNAPSHOT, "job_runs"),
        (JobOperation.UNKNOWN, "job_runs"),
    ],
)
def test_each_job_has_its_code(hosts, domain, operation: JobOperation, code: str):
    domain.job, domain.operation = JobKind.OTHER, operation
    outcome = check(hosts)
    assert outcome.result is Result.REFUSED
    assert [finding.code for finding in outcome.findings] == [code]


def test_a_backup_is_told_once_although_it_is_a_block_job_as_well(hosts, domain):
    domain.job, domain.operation = JobKind.OTHER, JobOperation.BACKUP
    domain.obstacles = replace(NO_OBSTACLES, block_jobs=(BlockJob(disk="vda", kind=BlockJobKind.BACKUP),))
    assert [finding.code for finding in found(hosts)] == ["backup_runs"]


def test_somebody_elses_migration_is_told(hosts, domain):
    domain.job = JobKind.OUTGOING
    [finding] = found(hosts)
    assert finding.code == "migrated_by_others"
    assert "outgoing migration" in finding.sentence


def test_everything_is_told_at_once(hosts, domain):
    domain.job, domain.operation = JobKind.OTHER, JobOperation.DUMP
    domain.obstacles = Obstacles(has_managed_save=True, snapshots=("a",), checkpoints=("b",))
    codes = {finding.code for finding in found(hosts)}
    assert codes == {"dump_runs", "managed_save_exists", "snapshots_exist", "checkpoints_lost"}
