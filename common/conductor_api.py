"""How clients and compute agents speak to a conductor, whichever has time. Its endpoint implements exactly these names.

Calls raise ServiceUnreachableError if no conductor answers, casts raise BusError if the broker is away.
"""

from common.broker_names import CONDUCTOR_TOPIC
from common.connections import ConnectionBatch
from common.doctor_api import DoctorCalls
from common.envelope import Interface
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
from common.membership_api import MembershipCalls
from common.migration import Acknowledgement, Outcome, Progress
from common.network_api import NetworkCalls
from common.rpc import Bus
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

INTERFACE = Interface(name="conductor", topic=CONDUCTOR_TOPIC, minor=2)
CHANGE_TRIES = 2  # the conductor that had the request may have died; under its id nothing is done twice
WATCH_MARGIN_S = 10.0  # for the way there and back of a call that waits at the conductor
CHECK_TIMEOUT_S = 60.0  # beyond all that [conductor]examine_timeout_s permits
CHECK_TRIES = 2  # nothing is changed by it
GREET_TIMEOUT_S = 5.0  # an agent that stops waits for it
FILTERING_TIMEOUT_S = 30.0  # of some guests of a host
CONFIRM_TIMEOUT_S = 10.0  # the source's thread stands still so long at most; then it does not call


class ConductorAPI(NetworkCalls, MembershipCalls, DoctorCalls):
    """Requests of clients, and what agents have to tell."""

    def __init__(self, bus: Bus) -> None:
        self._client = bus.client(INTERFACE)

    # ---- for clients

    def list_instances(self) -> tuple[InstanceView, ...]:
        return self._client.call("list_instances", kind=tuple[InstanceView, ...])

    def show_instance(self, instance: str) -> InstanceView:
        """By name or uuid; raises InstanceNotFoundError, InstanceAmbiguousError."""
        return self._client.call("show_instance", instance, kind=InstanceView)

    def list_services(self) -> tuple[ServiceView, ...]:
        return self._client.call("list_services", kind=tuple[ServiceView, ...])

    def live_migrate(self, request: LiveMigrationRequest) -> MigrationView:
        """Accept a migration; returns before anything has moved. Raises RefusedError with every finding."""
        return self._client.call(
            "live_migrate", request, kind=MigrationView, timeout_s=CHECK_TIMEOUT_S, tries=CHANGE_TRIES
        )

    def check_instance(self, request: CheckRequest) -> tuple[HostCheckView, ...]:
        """What speaks against each host as its dest; nothing is moved. Raises RefusedError if there is no other host."""
        return self._client.call(
            "check_instance",
            request,
            kind=tuple[HostCheckView, ...],
            timeout_s=CHECK_TIMEOUT_S,
            tries=CHECK_TRIES,
        )

    def list_migrations(self, which: MigrationFilter) -> tuple[MigrationView, ...]:
        return self._client.call("list_migrations", which, kind=tuple[MigrationView, ...])

    def show_migration(self, migration: str) -> MigrationView:
        """By id; raises MigrationNotFoundError."""
        return self._client.call("show_migration", migration, kind=MigrationView)

    def migration_log(self, migration: str) -> tuple[JournalView, ...]:
        """Its story, oldest line first."""
        return self._client.call("migration_log", migration, kind=tuple[JournalView, ...])

    def watch_migration(
        self, migration: str, *, after_version: int, after_progress: int = 0, timeout_s: float = 5.0
    ) -> MigrationView:
        """Wait for news: a version or a progress.sequence beyond those given, or until `timeout_s` has passed."""
        return self._client.call(
            "watch_migration",
            migration,
            after_version,
            after_progress,
            float(timeout_s),
            kind=MigrationView,
            timeout_s=timeout_s + WATCH_MARGIN_S,
        )

    def abort_migration(self, migration: str) -> MigrationView:
        """Ask for its end; raises AbortRefusedError. Watch it: it may still complete."""
        return self._client.call("abort_migration", migration, kind=MigrationView, tries=CHANGE_TRIES)

    def judge_migration(self, migration: str, *, down_host: str | None = None) -> MigrationView:
        """Have both hosts of an alarm asked again, or `down_host` taken as off; raises HostIsHeardError."""
        return self._client.call(
            "judge_migration", migration, down_host, kind=MigrationView, tries=CHANGE_TRIES
        )

    def create_administrator(self, request: AdministratorRequest) -> AdministratorView:
        """Register a key; raises AdministratorExistsError, KeyFileError for a text that is no key."""
        return self._client.call("create_administrator", request, kind=AdministratorView, tries=CHANGE_TRIES)

    def list_administrators(self) -> tuple[AdministratorView, ...]:
        return self._client.call("list_administrators", kind=tuple[AdministratorView, ...])

    def revoke_administrator(self, name: str) -> AdministratorView:
        """From now on the key proves nothing; raises AdministratorNotFoundError, LastAdministratorError."""
        return self._client.call("revoke_administrator", name, kind=AdministratorView, tries=CHANGE_TRIES)

    def list_audit(self, which: AuditFilter) -> tuple[AuditView, ...]:
        """Who asked for what, newest first."""
        return self._client.call("list_audit", which, kind=tuple[AuditView, ...])

    def enable_service(self, host: str) -> ServiceView:
        """Let guests be moved there again; raises HostNotFoundError. Idempotent."""
        return self._client.call("enable_service", host, kind=ServiceView)

    def disable_service(self, host: str, reason: str) -> ServiceView:
        """Let no guest be moved there; those that run there stay. Raises HostNotFoundError, InvalidRequestError."""
        return self._client.call("disable_service", host, reason, kind=ServiceView)

    def list_hosts(self) -> tuple[HostView, ...]:
        """All whose agents have been heard, by name."""
        return self._client.call("list_hosts", kind=tuple[HostView, ...])

    def show_host(self, host: str) -> HostView:
        """By name; raises HostNotFoundError."""
        return self._client.call("show_host", host, kind=HostView)

    def describe_resource(self, host: str) -> tuple[ResourceView, ...]:
        """What the host has and what is taken of it: three sums, then a row a guest; raises HostNotFoundError."""
        return self._client.call("describe_resource", host, kind=tuple[ResourceView, ...])

    def instance_history(self, instance: str, *, limit: int = 100) -> tuple[HistoryView, ...]:
        """Its migrations that have ended, newest first; of one that is gone, too.

        Raises InstanceNotFoundError, InstanceAmbiguousError.
        """
        return self._client.call("instance_history", instance, limit, kind=tuple[HistoryView, ...])

    # ---- for clients: the firewall

    def create_security_group(self, request: SecurityGroupRequest) -> SecurityGroupView:
        """Raises SecurityGroupExistsError, InvalidRequestError."""
        return self._client.call("create_security_group", request, kind=SecurityGroupView, tries=CHANGE_TRIES)

    def list_security_groups(self) -> tuple[SecurityGroupView, ...]:
        return self._client.call("list_security_groups", kind=tuple[SecurityGroupView, ...])

    def show_security_group(self, group: str) -> SecurityGroupView:
        """Raises SecurityGroupNotFoundError."""
        return self._client.call("show_security_group", group, kind=SecurityGroupView)

    def delete_security_group(self, group: str) -> SecurityGroupView:
        """As it was; raises SecurityGroupNotFoundError, SecurityGroupInUseError."""
        return self._client.call("delete_security_group", group, kind=SecurityGroupView, tries=CHANGE_TRIES)

    def add_security_group_rule(self, request: RuleRequest) -> RuleView:
        """Raises InvalidRequestError for one that makes no sense, SecurityGroupNotFoundError, RuleExistsError."""
        return self._client.call("add_security_group_rule", request, kind=RuleView, tries=CHANGE_TRIES)

    def remove_security_group_rule(self, group: str, rule: int) -> RuleView:
        """As it was; raises SecurityGroupNotFoundError, RuleNotFoundError."""
        return self._client.call("remove_security_group_rule", group, rule, kind=RuleView, tries=CHANGE_TRIES)

    def set_port(self, request: PortRequest) -> PortView:
        """Raises InvalidRequestError, PortNotFoundError, SecurityGroupNotFoundError, and as `show_instance`."""
        return self._client.call("set_port", request, kind=PortView, tries=CHANGE_TRIES)

    def unset_port(self, instance: str, mac: str) -> PortView:
        """Forget what is declared of it; raises PortNotDeclaredError, and as `show_instance`."""
        return self._client.call("unset_port", instance, mac, kind=PortView, tries=CHANGE_TRIES)

    def list_ports(self, which: PortFilter) -> tuple[PortView, ...]:
        """Raises SecurityGroupNotFoundError, and as `show_instance`."""
        return self._client.call("list_ports", which, kind=tuple[PortView, ...])

    def show_firewall(self, instance: str, *, host: str | None = None) -> FirewallView:
        """What is in force on its host, or on one that is named; raises HostSilentError, and as `show_instance`."""
        return self._client.call("show_firewall", instance, host, kind=FirewallView)

    # ---- for clients: volumes

    def set_volume(self, request: VolumeRequest) -> VolumeView:
        """Raises InvalidRequestError, DiskNotFoundError, and as `show_instance`."""
        return self._client.call("set_volume", request, kind=VolumeView, tries=CHANGE_TRIES)

    def unset_volume(self, instance: str, target: str) -> VolumeView:
        """As it was; raises VolumeNotDeclaredError, and as `show_instance`."""
        return self._client.call("unset_volume", instance, target, kind=VolumeView, tries=CHANGE_TRIES)

    def list_volumes(self, which: VolumeFilter) -> tuple[VolumeView, ...]:
        """Found and declared; raises as `show_instance`."""
        return self._client.call("list_volumes", which, kind=tuple[VolumeView, ...])

    # ---- for agents

    def outcome(self, outcome: Outcome) -> None:
        """Answer a command; repeated by the agent until it is acknowledged."""
        self._client.cast("outcome", outcome)

    def progress(self, progress: Progress) -> None:
        self._client.cast("progress", progress)

    def report(self, report: Report) -> None:
        self._client.cast("report", report)

    def heartbeat(self, heartbeat: Heartbeat) -> None:
        self._client.cast("heartbeat", heartbeat)

    def relay_connections(self, batch: ConnectionBatch) -> None:
        """Have the dest of an open migration know these connections of its guest; from the source, and never journaled."""
        self._client.cast("relay_connections", batch)

    def confirm_live_migration(self, migration: str, epoch: int) -> bool:
        """Whether the database still has this migration at this epoch in its live phase; asked last before the call."""
        return self._client.call(
            "confirm_live_migration", migration, epoch, kind=bool, timeout_s=CONFIRM_TIMEOUT_S
        )

    def greet(self, host: str) -> bool:
        """Find out whether we are let in, and whether who answers is a conductor: casts are never answered.

        Raises NotProvenError, ReplyNotProvenError.
        """
        return self._client.call("greet", host, kind=bool, timeout_s=GREET_TIMEOUT_S)

    def ledger_floor(self, host: str) -> tuple[Acknowledgement, ...]:
        """The newest epoch of every instance that was ever commanded about, for an empty ledger."""
        return self._client.call("ledger_floor", host, kind=tuple[Acknowledgement, ...])

    def filtering_of_host(self, host: str, *, after: str = "") -> tuple[GuestFiltering, ...]:
        """The rules of every guest of this host that has or had any, and of those that open migrations bring there.

        By uuid, those behind `after`. Of several answers, with as many guests in each as surely fit into a message.
        """
        known: list[GuestFiltering] = []
        while True:  # ends: each answer begins behind the one before, and there are only so many guests
            page = self._client.call(
                "filtering_of_host",
                host,
                after,
                kind=tuple[GuestFiltering, ...],
                timeout_s=FILTERING_TIMEOUT_S,
            )
            known += page
            if not page or page[-1].instance <= after:
                return tuple(known)
            after = page[-1].instance
