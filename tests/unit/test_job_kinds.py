"""libvirt's figures of a job, in our words: which kind it is, and what it does."""

import libvirt
import pytest

from compute_agent.hypervisor.driver import JobKind, JobOperation
from compute_agent.hypervisor.job import kind_of, operation_of
from compute_agent.hypervisor.suitability import missing_features


@pytest.mark.parametrize(
    ("number", "operation", "kind"),
    [
        (libvirt.VIR_DOMAIN_JOB_OPERATION_UNKNOWN, JobOperation.UNKNOWN, JobKind.OTHER),
        (libvirt.VIR_DOMAIN_JOB_OPERATION_START, JobOperation.START, JobKind.OTHER),
        (libvirt.VIR_DOMAIN_JOB_OPERATION_SAVE, JobOperation.SAVE, JobKind.OTHER),
        (libvirt.VIR_DOMAIN_JOB_OPERATION_RESTORE, JobOperation.RESTORE, JobKind.OTHER),
        (libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN, JobOperation.MIGRATION_IN, JobKind.INCOMING),
        (libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT, JobOperation.MIGRATION_OUT, JobKind.OUTGOING),
        (libvirt.VIR_DOMAIN_JOB_OPERATION_SNAPSHOT, JobOperation.SNAPSHOT, JobKind.OTHER),
        (libvirt.VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT, JobOperation.SNAPSHOT_REVERT, JobKind.OTHER),
        (libvirt.VIR_DOMAIN_JOB_OPERATION_DUMP, JobOperation.DUMP, JobKind.OTHER),
        (libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP, JobOperation.BACKUP, JobKind.OTHER),
        (libvirt.VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_DELETE, JobOperation.SNAPSHOT_DELETE, JobKind.OTHER),
        (99, JobOperation.UNKNOWN, JobKind.OTHER),
    ],
)
def test_each_operation_has_its_word(number: int, operation: JobOperation, kind: JobKind) -> None:
    running = {"type": libvirt.VIR_DOMAIN_JOB_UNBOUNDED, "operation": number}
    assert operation_of(running) is operation
    assert kind_of(running) is kind


def test_no_job_is_none() -> None:
    assert kind_of({"type": libvirt.VIR_DOMAIN_JOB_NONE}) is JobKind.NONE
    assert kind_of({}) is JobKind.NONE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "the CPU is incompatible with host CPU: Host CPU does not provide required features: vme, rdseed, sse4.1",
            ("vme", "rdseed", "sse4.1"),
        ),
        ("Host CPU does not provide required features: svm", ("svm",)),
        ("internal error: Unknown CPU model EPYC-Next", ()),
        ("", ()),
    ],
)
def test_missing_features_are_read_where_libvirt_names_them(text: str, expected: tuple[str, ...]) -> None:
    assert missing_features(text) == expected
