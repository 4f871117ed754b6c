"""A conductor in memory, for the client's tests: what it knows is given, what a watched migration does is scripted.

It has the client's half of `common.conductor_api.ConductorAPI`; a test compares the signatures.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from common.diagnosis import BaselineView, Diagnosis, DoctorRequest
from common.errors import (
    HostNotFoundError,
    InstanceNotFoundError,
    LimosaError,
    MigrationNotFoundError,
    SecurityGroupNotFoundError,
)
from common.filtering import PortInForce
from common.firewall_views import (
    FirewallView,
    PortFilter,
    PortRequest,
    PortView,
    RuleRequest,
    RuleView,
    SecurityGroupRequest,
    SecurityGroupView,
)
from common.states import (
    AuditResult,
    Direction,
    HostState,
    MigrationStatus,
    MigrationType,
    Phase,
    PowerState,
    Role,
    ServiceStatus,
)
from common.views import (
    AdministratorRequest,
    AdministratorView,
    AuditFilter,
    AuditView,
    CheckRequest,
    HistoryView,
    HostCheckView,
    HostView,
    InstanceView,
    JournalView,
    KeyState,
    LiveMigrationRequest,
    MigrationFilter,
    MigrationView,
    ResourceView,
    ServiceView,
)
from common.volume_views import VolumeFilter, VolumeRequest, VolumeView

MIGRATION = "5f0c8a52-5b8c-4a53-8a2e-0d7f6f1c1a11"
INSTANCE = "1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
NOW = "2025-03-01T12:00:00+00:00"


def instance_view(**changes: object) -> InstanceView:
    values: dict[str, object] = {
        "uuid": INSTANCE,
        "name": "web1",
        "host": "compute1",
        "power_state": PowerState.RUNNING,
        "task_state": None,
        "vcpus": 1,
        "memory_mib": 96,
        "is_persistent": True,
        "has_autostart": False,
        "conflict": (),
        "migration": None,
        "updated_at": NOW,
    }
    return InstanceView(**{**values, **changes})


def service_view(**changes: object) -> ServiceView:
    values: dict[str, object] = {
        "binary": "limosa-compute-agent",
        "host": "compute1",
        "state": HostState.UP,
        "last_seen_s": 1.25,
        "hypervisor_age_s": 0.5,
        "instances": 1,
        "memory_total_mib": 4096,
        "memory_free_mib": 3488,
        "hypervisor_version": "7.2.0",
        "libvirt_version": "9.0.0",
    }
    return ServiceView(**{**values, **changes})


def migration_view(**changes: object) -> MigrationView:
    values: dict[str, object] = {
        "id": MIGRATION,
        "instance_uuid": INSTANCE,
        "instance_name": "web1",
        "type": MigrationType.LIVE_MIGRATION,
        "status": MigrationStatus.ACCEPTED,
        "phase": Phase.CHECK_DEST,
        "source": "compute1",
        "dest": "compute2",
        "requested_dest": None,
        "version": 1,
        "epoch": 1,
        "reason": "",
        "waiting_for": "",
        "is_abort_requested": False,
        "findings": (),
        "progress": None,
        "steps": (),
        "downtime_ms": None,
        "seconds": 0.0,
        "created_at": NOW,
        "updated_at": NOW,
        "finished_at": None,
    }
    return MigrationView(**{**values, **changes})


def administrator_view(**changes: object) -> AdministratorView:
    values: dict[str, object] = {
        "name": "ann",
        "role": Role.ADMIN,
        "state": KeyState.VALID,
        "created_at": NOW,
        "created_by": "bootstrap",
        "expires_at": None,
        "revoked_at": None,
    }
    return AdministratorView(**{**values, **changes})


def audit_view(**changes: object) -> AuditView:
    values: dict[str, object] = {
        "id": 7,
        "at": NOW,
        "signer": "administrator:ann",
        "method": "live_migrate",
        "target": "instance=web1 dest=compute2",
        "result": AuditResult.DONE,
        "detail": "",
        "request_id": "req-1",
    }
    return AuditView(**{**values, **changes})


def rule_view(**changes: object) -> RuleView:
    values: dict[str, object] = {
        "id": 7,
        "group": "web",
        "direction": Direction.INGRESS,
        "family": 4,
        "protocol": "tcp",
        "port_min": 80,
        "port_max": 80,
        "remote": None,
        "remote_group": None,
    }
    return RuleView(**{**values, **changes})


def group_view(**changes: object) -> SecurityGroupView:
    values: dict[str, object] = {
        "name": "web",
        "description": "",
        "rules": (rule_view(),),
        "members": 1,
        "created_at": NOW,
        "created_by": "ann",
    }
    return SecurityGroupView(**{**values, **changes})


def port_view(**changes: object) -> PortView:
    values: dict[str, object] = {
        "instance_uuid": INSTANCE,
        "instance_name": "web1",
        "host": "compute1",
        "mac": "52:54:00:00:00:01",
        "addresses": (),
        "groups": (),
        "is_present": True,
    }
    return PortView(**{**values, **changes})


def volume_view(**changes: object) -> VolumeView:
    values: dict[str, object] = {
        "instance_uuid": INSTANCE,
        "instance_name": "web1",
        "target": "vdb",
        "driver": "iscsi",
        "name": "iqn.2026-01.example:t/1",
        "servers": ("s1:3260",),
        "secret": "",
        "properties": {"volume_id": "7"},
        "is_host_attached": True,
        "is_declared": True,
        "is_present": True,
    }
    return VolumeView(**{**values, **changes})


def firewall_view(**changes: object) -> FirewallView:
    values: dict[str, object] = {
        "instance_uuid": INSTANCE,
        "instance_name": "web1",
        "host": "compute1",
        "driver": "nftables",
        "is_current": True,
        "revision": 12,
        "declared_revision": 12,
        "ports": (PortInForce(mac="52:54:00:00:00:01", tap="vnet0", lines=("tcp dport 80 accept",)),),
    }
    return FirewallView(**{**values, **changes})


Happening = MigrationView | BaseException
"""One answer to a poll: a newer view, or what the call raises."""


@dataclass
class FakeConductor:
    """`script` is what the polls of `watch_migration` see, one after the other; the last view stays."""

    instances: tuple[InstanceView, ...] = ()
    services: tuple[ServiceView, ...] = ()
    hosts: tuple[HostView, ...] = ()
    resources: tuple[ResourceView, ...] = ()
    history: tuple[HistoryView, ...] = ()
    migrations: tuple[MigrationView, ...] = ()
    journal: tuple[JournalView, ...] = ()
    administrators: tuple[AdministratorView, ...] = ()
    audit: tuple[AuditView, ...] = ()
    checked: tuple[HostCheckView, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    baseline: tuple[BaselineView, ...] = ()
    script: Iterable[Happening] = ()
    groups: tuple[SecurityGroupView, ...] = ()
    ports: tuple[PortView, ...] = ()
    firewall: tuple[FirewallView, ...] = ()
    volumes: tuple[VolumeView, ...] = ()
    error: BaseException | None = None  # what every call but the polls raises
    on_poll: Callable[[float], None] = lambda timeout_s: None  # called when a poll finds nothing new
    requests: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._script = iter(self.script)
        self._current = self.migrations[0] if self.migrations else None

    def list_instances(self) -> tuple[InstanceView, ...]:
        self._fail()
        return self.instances

    def show_instance(self, instance: str) -> InstanceView:
        self._fail()
        for view in self.instances:
            if instance in (view.uuid, view.name):
                return view
        raise InstanceNotFoundError(instance=instance)

    def list_services(self) -> tuple[ServiceView, ...]:
        self._fail()
        return self.services

    def live_migrate(self, request: LiveMigrationRequest) -> MigrationView:
        self._fail()
        self.requests.append(request)
        return self._newest()

    def check_instance(self, request: CheckRequest) -> tuple[HostCheckView, ...]:
        self._fail()
        self.requests.append(request)
        return self.checked

    def diagnose(self, request: DoctorRequest) -> tuple[Diagnosis, ...]:
        self._fail()
        self.requests.append(request)
        return self.diagnoses

    def cpu_baseline(self, hosts: tuple[str, ...]) -> BaselineView:
        self._fail()
        self.requests.append(hosts)
        return self.baseline[0]

    def list_migrations(self, which: MigrationFilter) -> tuple[MigrationView, ...]:
        self._fail()
        self.requests.append(which)
        return self.migrations

    def show_migration(self, migration: str) -> MigrationView:
        self._fail()
        if self._current is None or migration != self._current.id:
            raise MigrationNotFoundError(migration=migration)
        return self._current

    def migration_log(self, migration: str) -> tuple[JournalView, ...]:
        self.show_migration(migration)
        return self.journal

    def watch_migration(
        self, migration: str, *, after_version: int, after_progress: int = 0, timeout_s: float = 5.0
    ) -> MigrationView:
        newest = self._newest()
        assert migration == newest.id
        happening = next(self._script, None)
        if happening is None:
            self.on_poll(timeout_s)
            return newest
        if isinstance(happening, BaseException):
            raise happening
        self._current = happening
        return happening

    def abort_migration(self, migration: str) -> MigrationView:
        view = self.show_migration(migration)
        self.requests.append(migration)
        return view

    def judge_migration(self, migration: str, *, down_host: str | None = None) -> MigrationView:
        view = self.show_migration(migration)
        self.requests.append((migration, down_host))
        return view

    def create_administrator(self, request: AdministratorRequest) -> AdministratorView:
        self._fail()
        self.requests.append(request)
        return administrator_view(name=request.name, role=request.role)

    def list_administrators(self) -> tuple[AdministratorView, ...]:
        self._fail()
        return self.administrators

    def revoke_administrator(self, name: str) -> AdministratorView:
        self._fail()
        self.requests.append(name)
        return administrator_view(name=name, state=KeyState.REVOKED, revoked_at=NOW)

    def list_audit(self, which: AuditFilter) -> tuple[AuditView, ...]:
        self._fail()
        self.requests.append(which)
        return self.audit

    def enable_service(self, host: str) -> ServiceView:
        return self._with_status(host, ServiceStatus.ENABLED, None)

    def disable_service(self, host: str, reason: str) -> ServiceView:
        return self._with_status(host, ServiceStatus.DISABLED, reason)

    def list_hosts(self) -> tuple[HostView, ...]:
        self._fail()
        return self.hosts

    def show_host(self, host: str) -> HostView:
        self._fail()
        for view in self.hosts:
            if view.name == host:
                return view
        raise HostNotFoundError(host=host)

    def describe_resource(self, host: str) -> tuple[ResourceView, ...]:
        self.show_host(host)
        return self.resources

    def instance_history(self, instance: str, *, limit: int = 100) -> tuple[HistoryView, ...]:
        self.show_instance(instance)
        self.requests.append((instance, limit))
        return self.history

    def create_security_group(self, request: SecurityGroupRequest) -> SecurityGroupView:
        self._fail()
        self.requests.append(request)
        return group_view(name=request.name, description=request.description)

    def list_security_groups(self) -> tuple[SecurityGroupView, ...]:
        self._fail()
        return self.groups

    def show_security_group(self, group: str) -> SecurityGroupView:
        self._fail()
        for view in self.groups:
            if view.name == group:
                return view
        raise SecurityGroupNotFoundError(group=group)

    def delete_security_group(self, group: str) -> SecurityGroupView:
        view = self.show_security_group(group)
        self.requests.append(group)
        return view

    def add_security_group_rule(self, request: RuleRequest) -> RuleView:
        self._fail()
        self.requests.append(request)
        return rule_view(group=request.group)

    def remove_security_group_rule(self, group: str, rule: int) -> RuleView:
        self._fail()
        self.requests.append((group, rule))
        return rule_view(group=group, id=rule)

    def set_port(self, request: PortRequest) -> PortView:
        self._fail()
        self.requests.append(request)
        return port_view(mac=request.mac, addresses=request.addresses or (), groups=request.groups or ())

    def unset_port(self, instance: str, mac: str) -> PortView:
        self._fail()
        self.requests.append((instance, mac))
        return port_view(mac=mac)

    def list_ports(self, which: PortFilter) -> tuple[PortView, ...]:
        self._fail()
        self.requests.append(which)
        return self.ports

    def show_firewall(self, instance: str, *, host: str | None = None) -> FirewallView:
        self._fail()
        self.requests.append((instance, host))
        return self.firewall[0]

    def set_volume(self, request: VolumeRequest) -> VolumeView:
        self._fail()
        self.requests.append(request)
        return volume_view(
            target=request.target, driver=request.driver, name=request.name, servers=request.servers
        )

    def unset_volume(self, instance: str, target: str) -> VolumeView:
        self._fail()
        self.requests.append((instance, target))
        return volume_view(target=target, is_declared=False)

    def list_volumes(self, which: VolumeFilter) -> tuple[VolumeView, ...]:
        self._fail()
        self.requests.append(which)
        return self.volumes

    def _with_status(self, host: str, status: ServiceStatus, reason: str | None) -> ServiceView:
        self._fail()
        self.requests.append((host, reason))
        for view in self.services:
            if view.host == host:
                return replace(view, status=status, disabled_reason=reason)
        raise HostNotFoundError(host=host)

    def _newest(self) -> MigrationView:
        if self._current is None:
            raise LimosaError
        return self._current

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error
