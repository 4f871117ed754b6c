"""What a conductor answers on the bus: exactly the names of `common.conductor_api.ConductorAPI`."""

import logging
from collections.abc import Callable

from common.checks import NOT_PERMITTED
from common.connections import ConnectionBatch
from common.context import Context
from common.dispatch import exposed
from common.facts import Heartbeat, Report
from common.filtering import GuestFiltering
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
from common.identity import Principal
from common.migration import Acknowledgement, Outcome, Progress
from common.states import Phase, Role
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
    LiveMigrationRequest,
    MigrationFilter,
    MigrationView,
    ResourceView,
    ServiceView,
)
from common.volume_views import VolumeFilter, VolumeRequest, VolumeView
from conductor.aborting import refuse_if_late
from conductor.accept import Acceptance
from conductor.administrators import Administrators
from conductor.checking import Checking
from conductor.cpu_baseline import CpuBaseline
from conductor.db import instances, sagas
from conductor.db.engine import Database
from conductor.doctor import Doctor
from conductor.doctor_endpoint import DoctorEndpoint
from conductor.driver import Driver
from conductor.enabling import Enabling
from conductor.firewall_lookup import FirewallLookup
from conductor.guest_ports import GuestPorts
from conductor.host_lookup import HostLookup
from conductor.inventory import Inventory
from conductor.judging import Judging
from conductor.lookup import Lookup
from conductor.membership import Membership
from conductor.membership_endpoint import MembershipEndpoint
from conductor.network_endpoint import NetworkEndpoint
from conductor.networks import Networks
from conductor.news import News
from conductor.saga import AbortAsked, Saga
from conductor.security_groups import SecurityGroups
from conductor.volumes import Volumes

LOG = logging.getLogger(__name__)


class ConductorEndpoint(NetworkEndpoint, MembershipEndpoint, DoctorEndpoint):
    """Requests of clients, and what agents have to tell. Errors that a person may read go back as such."""

    def __init__(
        self,
        *,
        database: Database,
        lookup: Lookup,
        acceptance: Acceptance,
        checking: Checking,
        driver: Driver,
        judging: Judging,
        inventory: Inventory,
        administrators: Administrators,
        news: News,
        enabling: Enabling,
        hosts: HostLookup,
        groups: SecurityGroups,
        ports: GuestPorts,
        firewall: FirewallLookup,
        networks: Networks,
        volumes: Volumes,
        membership: Membership,
        doctor: Doctor,
        cpu_baseline: CpuBaseline,
        lacks: Callable[[Principal, str], Role | None],
    ) -> None:
        self._database = database
        self._lookup = lookup
        self._acceptance = acceptance
        self._checking = checking
        self._driver = driver
        self._judging = judging
        self._inventory = inventory
        self._administrators = administrators
        self._news = news
        self._enabling = enabling
        self._hosts = hosts
        self._groups = groups
        self._ports = ports
        self._firewall = firewall
        self._networks = networks
        self._volumes = volumes
        self._membership = membership
        self._doctor = doctor
        self._cpu_baseline = cpu_baseline
        self._lacks = lacks

    # ---- for clients

    @exposed
    def list_instances(self, _context: Context) -> tuple[InstanceView, ...]:
        return self._lookup.list_instances()

    @exposed
    def show_instance(self, _context: Context, instance: str) -> InstanceView:
        return self._lookup.show_instance(instance)

    @exposed
    def list_services(self, _context: Context) -> tuple[ServiceView, ...]:
        return self._lookup.list_services()

    @exposed
    def live_migrate(self, context: Context, request: LiveMigrationRequest) -> MigrationView:
        migration = self._acceptance.accept(request, asked=context)
        return self._lookup.show_migration(migration)

    @exposed
    def check_instance(self, context: Context, request: CheckRequest) -> tuple[HostCheckView, ...]:
        role = self._lacks(context.signer, "live_migrate")
        against = () if role is None else (NOT_PERMITTED.finding(signer=context.signer, role=role),)
        return self._checking.check(request, of_person=against)

    @exposed
    def list_migrations(self, _context: Context, which: MigrationFilter) -> tuple[MigrationView, ...]:
        return self._lookup.list_migrations(which)

    @exposed
    def show_migration(self, _context: Context, migration: str) -> MigrationView:
        return self._lookup.show_migration(migration)

    @exposed
    def migration_log(self, _context: Context, migration: str) -> tuple[JournalView, ...]:
        return self._lookup.migration_log(migration)

    @exposed
    def watch_migration(
        self, _context: Context, migration: str, after_version: int, after_progress: int, timeout_s: float
    ) -> MigrationView:
        return self._lookup.watch_migration(
            migration, after_version=after_version, after_progress=after_progress, timeout_s=timeout_s
        )

    @exposed
    def abort_migration(self, context: Context, migration: str) -> MigrationView:
        """Accepted or refused in one transaction with the row that says which."""

        def in_time(saga: Saga) -> bool:
            refuse_if_late(saga)
            return True

        self._driver.drive(migration, AbortAsked(by=str(context.signer)), only_if=in_time)
        return self._lookup.show_migration(migration)

    @exposed
    def judge_migration(self, context: Context, migration: str, down_host: str | None) -> MigrationView:
        if down_host is None:
            self._judging.judge_again(migration)
        else:
            LOG.warning("%s declares %s down, for migration %s", context.signer, down_host, migration)
            self._judging.declare_down(migration, down_host)
        return self._lookup.show_migration(migration)

    @exposed
    def create_administrator(self, context: Context, request: AdministratorRequest) -> AdministratorView:
        return self._administrators.create(request, by=context.signer.name)

    @exposed
    def list_administrators(self, _context: Context) -> tuple[AdministratorView, ...]:
        return self._administrators.list()

    @exposed
    def revoke_administrator(self, _context: Context, name: str) -> AdministratorView:
        return self._administrators.revoke(name)

    @exposed
    def list_audit(self, _context: Context, which: AuditFilter) -> tuple[AuditView, ...]:
        return self._administrators.audit(which)

    @exposed
    def enable_service(self, context: Context, host: str) -> ServiceView:
        self._enabling.enable(host, by=context.signer.name)
        return self._lookup.show_service(host)

    @exposed
    def disable_service(self, context: Context, host: str, reason: str) -> ServiceView:
        self._enabling.disable(host, reason=reason, by=context.signer.name)
        return self._lookup.show_service(host)

    @exposed
    def list_hosts(self, _context: Context) -> tuple[HostView, ...]:
        return self._hosts.list_hosts()

    @exposed
    def show_host(self, _context: Context, host: str) -> HostView:
        return self._hosts.show_host(host)

    @exposed
    def describe_resource(self, _context: Context, host: str) -> tuple[ResourceView, ...]:
        return self._hosts.describe_resource(host)

    @exposed
    def instance_history(self, _context: Context, instance: str, limit: int) -> tuple[HistoryView, ...]:
        return self._lookup.instance_history(instance, limit=limit)

    @exposed
    def create_security_group(self, context: Context, request: SecurityGroupRequest) -> SecurityGroupView:
        return self._groups.create(request, asked=context)

    @exposed
    def list_security_groups(self, _context: Context) -> tuple[SecurityGroupView, ...]:
        return self._groups.list()

    @exposed
    def show_security_group(self, _context: Context, group: str) -> SecurityGroupView:
        return self._groups.show(group)

    @exposed
    def delete_security_group(self, _context: Context, group: str) -> SecurityGroupView:
        return self._groups.delete(group)

    @exposed
    def add_security_group_rule(self, context: Context, request: RuleRequest) -> RuleView:
        return self._groups.add_rule(request, asked=context)

    @exposed
    def remove_security_group_rule(self, _context: Context, group: str, rule: int) -> RuleView:
        return self._groups.remove_rule(group, rule)

    @exposed
    def set_port(self, _context: Context, request: PortRequest) -> PortView:
        return self._ports.declare(request)

    @exposed
    def unset_port(self, _context: Context, instance: str, mac: str) -> PortView:
        return self._ports.forget(instance, mac)

    @exposed
    def list_ports(self, _context: Context, which: PortFilter) -> tuple[PortView, ...]:
        return self._ports.list(which)

    @exposed
    def show_firewall(self, _context: Context, instance: str, host: str | None) -> FirewallView:
        return self._firewall.show(instance, host=host)

    @exposed
    def set_volume(self, context: Context, request: VolumeRequest) -> VolumeView:
        return self._volumes.declare(request, by=context.signer.name)

    @exposed
    def unset_volume(self, _context: Context, instance: str, target: str) -> VolumeView:
        return self._volumes.forget(instance, target)

    @exposed
    def list_volumes(self, _context: Context, which: VolumeFilter) -> tuple[VolumeView, ...]:
        return self._volumes.list(which)

    # ---- for agents: `conductor.gate` has seen to it that each speaks for its own host

    @exposed
    def outcome(self, _context: Context, outcome: Outcome) -> None:
        self._driver.answer(outcome)

    @exposed
    def progress(self, _context: Context, progress: Progress) -> None:
        if self._database.transact(lambda session: sagas.save_progress(session, progress)):
            self._news.publish(progress.migration)

    @exposed
    def report(self, _context: Context, report: Report) -> None:
        self._inventory.report(report)

    @exposed
    def heartbeat(self, _context: Context, heartbeat: Heartbeat) -> None:
        self._inventory.heartbeat(heartbeat)

    @exposed
    def confirm_live_migration(self, context: Context, migration: str, epoch: int) -> bool:
        """Rule 9: whether the source, and nobody else, may still call migrateToURI3 under this epoch."""
        with self._database.reading() as session:
            saga = sagas.load(session, migration).saga
        return saga.phase is Phase.LIVE and saga.epoch == epoch and saga.source == context.signer.name

    @exposed
    def greet(self, _context: Context, host: str) -> bool:  # noqa: ARG002
        """That it was let in and is answered: more there is not to say."""
        return True

    @exposed
    def ledger_floor(self, _context: Context, host: str) -> tuple[Acknowledgement, ...]:  # noqa: ARG002
        """Of all instances, whatever the host: too many floors fence more than is needed, one too few does harm."""
        with self._database.reading() as session:
            return tuple(
                Acknowledgement(instance=instance, epoch=epoch)
                for instance, epoch in instances.floors(session)
            )

    @exposed
    def filtering_of_host(self, _context: Context, host: str, after: str) -> tuple[GuestFiltering, ...]:
        return self._firewall.of_host(host, after=after)

    @exposed
    def relay_connections(self, _context: Context, batch: ConnectionBatch) -> None:
        self._firewall.relay(batch)
