"""`limosa` over a bus: what a conductor's endpoint answers arrives at the command as it was."""

import inspect

import pytest
from oslo_config import cfg

from client.exit_codes import ExitCode
from common import checks, config, errors
from common.conductor_api import INTERFACE, ConductorAPI
from common.context import Context
from common.dispatch import exposed
from common.migration import JobStatistics, Progress
from common.rpc import Bus
from common.states import MigrationStatus, Phase
from common.views import (
    HistoryView,
    HostView,
    InstanceView,
    JournalView,
    LiveMigrationRequest,
    MigrationFilter,
    MigrationView,
    ResourceView,
    ServiceView,
)
from tests.fakes import identities, limosa
from tests.fakes.conductor import INSTANCE, MIGRATION, FakeConductor, instance_view, migration_view

RESPONSE_TIMEOUT_S = 1


class Endpoint:
    """A fake conductor, exposed as the real one is."""

    def __init__(self, fake: FakeConductor) -> None:
        self.fake = fake

    @exposed
    def list_instances(self, context: Context) -> tuple[InstanceView, ...]:
        return self.fake.list_instances()

    @exposed
    def show_instance(self, context: Context, instance: str) -> InstanceView:
        return self.fake.show_instance(instance)

    @exposed
    def list_services(self, context: Context) -> tuple[ServiceView, ...]:
        return self.fake.list_services()

    @exposed
    def live_migrate(self, context: Context, request: LiveMigrationRequest) -> MigrationView:
        return self.fake.live_migrate(request)

    @exposed
    def list_migrations(self, context: Context, which: MigrationFilter) -> tuple[MigrationView, ...]:
        return self.fake.list_migrations(which)

    @exposed
    def show_migration(self, context: Context, migration: str) -> MigrationView:
        return self.fake.show_migration(migration)

    @exposed
    def migration_log(self, context: Context, migration: str) -> tuple[JournalView, ...]:
        return self.fake.migration_log(migration)

    @exposed
    def watch_migration(
        self, context: Context, migration: str, after_version: int, after_progress: int, timeout_s: float
    ) -> MigrationView:
        return self.fake.watch_migration(
            migration, after_version=after_version, after_progress=after_progress, timeout_s=timeout_s
        )

    @exposed
    def abort_migration(self, context: Context, migration: str) -> MigrationView:
        return self.fake.abort_migration(migration)

    @exposed
    def enable_service(self, context: Context, host: str) -> ServiceView:
        return self.fake.enable_service(host)

    @exposed
    def list_hosts(self, context: Context) -> tuple[HostView, ...]:
        return self.fake.list_hosts()

    @exposed
    def show_host(self, context: Context, host: str) -> HostView:
        return self.fake.show_host(host)

    @exposed
    def describe_resource(self, context: Context, host: str) -> tuple[ResourceView, ...]:
        return self.fake.describe_resource(host)

    @exposed
    def instance_history(self, context: Context, instance: str, limit: int) -> tuple[HistoryView, ...]:
        return self.fake.instance_history(instance, limit=limit)

    @exposed
    def disable_service(self, context: Context, host: str, reason: str) -> ServiceView:
        return self.fake.disable_service(host, reason)


@pytest.fixture
def bus():
    config.register_options(cfg.CONF)
    cfg.CONF([], project="limosa", prog="limosa", default_config_files=[], default_config_dirs=[])
    cfg.CONF.set_override("transport_url", "fake://")
    cfg.CONF.set_override("rpc_response_timeout", RESPONSE_TIMEOUT_S)
    bus = Bus(cfg.CONF, identity=identities.CONDUCTOR, keyring=identities.EverybodysKeys())
    yield bus
    bus.close()
    cfg.CONF.clear_override("transport_url")
    cfg.CONF.clear_override("rpc_response_timeout")


@pytest.fixture
def run(bus):
    """Run `limosa` against a fake conductor behind the bus, or against none."""
    servers = []

    def run_limosa(fake: FakeConductor | None, *argv: str) -> limosa.Run:
        if fake is not None:
            server = bus.serve(INTERFACE, "controller1", Endpoint(fake), guard=identities.LetThrough())
            server.start()
            servers.append(server)
        return limosa.Run(lambda files: ConductorAPI(bus), *argv)

    yield run_limosa
    for server in servers:
        server.stop()


def test_the_fake_conductor_has_the_signatures_of_the_real_api():
    fake_methods = dict(inspect.getmembers(FakeConductor, inspect.isfunction))
    for name, method in inspect.getmembers(ConductorAPI, inspect.isfunction):
        if name in fake_methods and not name.startswith("_"):
            assert inspect.signature(fake_methods[name]) == inspect.signature(method), name
    assert len(fake_methods.keys() & vars(ConductorAPI).keys() & vars(Endpoint).keys() - {"__init__"}) >= 9


def test_a_view_arrives_with_every_key(run):
    shown = run(FakeConductor(instances=(instance_view(),)), "show", "web1", "-f", "json").json
    assert shown["uuid"] == INSTANCE
    assert shown["conflict"] == []


def test_a_migration_is_watched_to_its_end(run):
    newest = Progress(
        instance=INSTANCE,
        migration=MIGRATION,
        epoch=4,
        host="compute1",
        sequence=7,
        statistics=JobStatistics(memory_total=100, memory_remaining=50, iteration=1),
    )
    running = migration_view(status=MigrationStatus.RUNNING, phase=Phase.LIVE, version=5, progress=newest)
    completed = migration_view(status=MigrationStatus.COMPLETED, phase=Phase.DONE, version=9, downtime_ms=87)
    fake = FakeConductor(migrations=(migration_view(),), script=(running, completed))
    ended = run(fake, "live-migration", "web1", "compute2", "-f", "json")
    assert (ended.code, ended.stderr) == (ExitCode.OK, "")
    assert ended.json["downtime_ms"] == 87
    assert fake.requests == [LiveMigrationRequest(instance="web1", dest="compute2")]


def test_a_refusal_arrives_with_its_findings(run):
    finding = checks.DEST_IS_SOURCE.finding(instance="web1", dest="compute1")
    refusal = errors.RefusedError(instance="web1", count=1, findings=(finding,))
    refused = run(FakeConductor(error=refusal), "live-migration", "web1", "compute1")
    assert refused.code == ExitCode.REFUSED
    assert "web1 runs on compute1 already. [dest_is_source]" in refused.stderr


def test_what_is_not_there_is_told_as_such(run):
    missing = run(FakeConductor(), "migration", "log", MIGRATION)
    assert missing.code == ExitCode.NOT_FOUND
    assert missing.stderr.startswith(f"There is no migration {MIGRATION}.")


def test_no_conductor_is_an_error_in_time(run):
    unanswered = run(None, "list")
    assert unanswered.code == ExitCode.ERROR
    assert f"No conductor answered within {RESPONSE_TIMEOUT_S} s" in unanswered.stderr


def test_a_bug_of_the_conductor_is_an_error_here(run):
    broken = run(FakeConductor(error=RuntimeError("boom")), "list")
    assert broken.code == ExitCode.ERROR
    assert "Internal error" in broken.stderr
