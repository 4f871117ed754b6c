"""What a conductor shows of hosts, of their resources and of an instance's past."""

from common.states import HostState, MigrationStatus, PowerState, ResourceKind, ServiceStatus
from common.views import HistoryView, HostView, ResourceView
from tests.fakes.conductor import INSTANCE, MIGRATION, NOW

HOST = HostView(
    name="compute1",
    status=ServiceStatus.ENABLED,
    disabled_reason=None,
    state=HostState.UP,
    last_seen_s=1.25,
    hypervisor_age_s=0.5,
    agent_version="0.1.0",
    hypervisor_type="QEMU",
    hypervisor_version="7.2.0",
    libvirt_version="9.0.0",
    cpu_model="EPYC",
    cpu_arch="x86_64",
    vcpus_total=8,
    vcpus_used=1,
    memory_total_mib=4096,
    memory_used_mib=96,
    memory_claimed_mib=0,
    memory_free_mib=3488,
    disk_total_gib=500,
    disk_free_gib=120,
    disk_claimed_gib=20,
    instances=2,
    guests=("db1", "web1"),
)


def resource(instance: str, kind: ResourceKind = ResourceKind.INSTANCE, **changes: object) -> ResourceView:
    values: dict[str, object] = {
        "host": "compute1",
        "instance": instance,
        "kind": kind,
        "instance_uuid": None,
        "power_state": None,
        "migration": None,
        "cpu": 1,
        "memory_mib": 96,
        "disk_gib": 20,
    }
    return ResourceView(**{**values, **changes})


RESOURCES = (
    resource("(total)", ResourceKind.TOTAL, cpu=8, memory_mib=4096, disk_gib=500),
    resource("(used_now)", ResourceKind.USED_NOW, disk_gib=380),
    resource("(used_max)", ResourceKind.USED_MAX),
    resource("web1", instance_uuid=INSTANCE, power_state=PowerState.RUNNING),
)

PAST = HistoryView(
    migration=MIGRATION,
    instance_uuid=INSTANCE,
    instance_name="web1",
    status=MigrationStatus.COMPLETED,
    source="compute1",
    dest="compute2",
    predicted_seconds=None,
    predicted_downtime_ms=None,
    predicted_sent_mib=None,
    predicted_passes=None,
    predicted_rate_mib_s=None,
    measured_seconds=2.34,
    measured_downtime_ms=87,
    measured_sent_mib=104.0,
    measured_passes=4,
    measured_rate_mib_s=41.0,
    reason="",
    created_at=NOW,
    finished_at=NOW,
)
