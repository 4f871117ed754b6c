"""What the conductor answers about hosts, and how administrators enable and disable them, on the bus."""

from dataclasses import replace

import pytest

from common.errors import (
    HostNotFoundError,
    InstanceAmbiguousError,
    InstanceNotFoundError,
    InvalidRequestError,
)
from common.migration import JobStatistics
from common.states import (
    HostState,
    MigrationStatus,
    Phase,
    PowerState,
    ResourceKind,
    ServiceStatus,
    Verb,
)
from common.views import LiveMigrationRequest, MigrationFilter
from conductor.enabling import REASON_MAX_CHARS
from tests.fakes.agent import DOWNTIME_MS, guest_facts
from tests.fakes.cluster import GUEST

MIB = 1024 * 1024
OTHER = "2f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"


def statuses(cluster):
    return {view.host: (view.status, view.disabled_reason) for view in cluster.api.list_services()}


# ---- enable and disable


def test_a_host_is_disabled_with_a_reason_and_enabled_again(cluster):
    disabled = cluster.api.disable_service("compute2", "new memory on Tuesday")

    assert (disabled.status, disabled.disabled_reason) == (ServiceStatus.DISABLED, "new memory on Tuesday")
    assert disabled.state is HostState.UP
    assert statuses(cluster) == {
        "controller": (ServiceStatus.ENABLED, None),
        "compute1": (ServiceStatus.ENABLED, None),
        "compute2": (ServiceStatus.DISABLED, "new memory on Tuesday"),
    }

    enabled = cluster.api.enable_service("compute2")

    assert (enabled.status, enabled.disabled_reason) == (ServiceStatus.ENABLED, None)
    assert cluster.api.enable_service("compute2").status is ServiceStatus.ENABLED  # again: no harm


def test_what_a_host_tells_of_itself_does_not_enable_it(cluster):
    cluster.api.disable_service("compute2", "a bad disk")

    cluster.dest.start_id, cluster.dest.sequence = "compute2-2", 0
    cluster.dest.report()
    cluster.dest.heartbeat()
    cluster.add_host("compute3")  # heard after them

    assert statuses(cluster)["compute2"] == (ServiceStatus.DISABLED, "a bad disk")


def test_an_unknown_host_is_neither_enabled_nor_disabled(cluster):
    before = statuses(cluster)

    with pytest.raises(HostNotFoundError, match="There is no host compute9"):
        cluster.api.disable_service("compute9", "gone")
    with pytest.raises(HostNotFoundError):
        cluster.api.enable_service("compute9")

    assert statuses(cluster) == before


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "\x1b[2J", "x" * (REASON_MAX_CHARS + 1)])
def test_a_reason_must_be_one_readable_line(cluster, reason):
    with pytest.raises(InvalidRequestError, match="one line"):
        cluster.api.disable_service("compute2", reason)

    assert statuses(cluster)["compute2"] == (ServiceStatus.ENABLED, None)


# ---- what hosts are, have, and give


def resources(cluster, host):
    return {
        row.instance: (row.kind, row.cpu, row.memory_mib, row.disk_gib)
        for row in cluster.api.describe_resource(host)
    }


def test_a_host_is_shown_with_all_that_its_agent_tells(cluster):
    cluster.source.facts = replace(cluster.source.facts, disk_total_gib=500, disk_free_gib=120)
    cluster.source.guests[OTHER] = guest_facts(OTHER, name="db1", power_state=PowerState.SHUTOFF, vcpus=4)
    cluster.source.report()
    cluster.until(lambda: cluster.api.show_host("compute1").instances == 2)

    host = cluster.api.show_host("compute1")

    assert (host.status, host.state, host.agent_version) == (ServiceStatus.ENABLED, HostState.UP, "0.1.0")
    assert (host.hypervisor_type, host.hypervisor_version, host.libvirt_version) == ("QEMU", "7.2.0", "9.0.0")
    assert (host.cpu_model, host.cpu_arch, host.vcpus_total, host.vcpus_used) == ("EPYC", "x86_64", 8, 1)
    assert (host.memory_total_mib, host.memory_used_mib, host.memory_claimed_mib) == (4096, 96, 0)
    assert host.memory_free_mib == 4000
    assert (host.disk_total_gib, host.disk_free_gib) == (500, 120)
    assert host.guests == ("db1", "web1")
    assert host.hypervisor_age_s == 0.1
    assert [view.name for view in cluster.api.list_hosts()] == ["compute1", "compute2"]
    assert replace(cluster.api.list_hosts()[0], last_seen_s=host.last_seen_s) == host


def test_resources_are_sums_and_a_row_a_guest_off_ones_only_in_the_most(cluster):
    cluster.source.facts = replace(cluster.source.facts, disk_total_gib=500, disk_free_gib=120)
    cluster.source.guests[GUEST] = guest_facts(GUEST, disk_gib=20)
    cluster.source.guests[OTHER] = guest_facts(
        OTHER, name="db1", power_state=PowerState.SHUTOFF, vcpus=4, memory_mib=2048, disk_gib=200
    )
    cluster.source.report()
    cluster.until(lambda: cluster.api.show_host("compute1").instances == 2)

    assert resources(cluster, "compute1") == {
        "(total)": (ResourceKind.TOTAL, 8, 4096, 500),
        "(used_now)": (ResourceKind.USED_NOW, 1, 96, 380),
        "(used_max)": (ResourceKind.USED_MAX, 5, 2144, 220),
        "db1": (ResourceKind.INSTANCE, 4, 2048, 200),
        "web1": (ResourceKind.INSTANCE, 1, 96, 20),
    }


def test_what_a_migration_holds_on_its_dest_is_counted_and_shown(cluster):
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)

    shown = resources(cluster, "compute2")
    row = cluster.api.describe_resource("compute2")[-1]
    host = cluster.api.show_host("compute2")

    assert shown["(used_now)"][1:3] == shown["(used_max)"][1:3] == (1, 96)
    assert (row.instance, row.kind, row.migration, row.power_state) == (
        "web1", ResourceKind.CLAIM, view.id, None,
    )  # fmt: skip
    assert (host.memory_used_mib, host.memory_claimed_mib, host.memory_free_mib) == (0, 96, 4000)
    assert (host.instances, host.vcpus_used) == (0, 1)
    # the source holds the same room, which is not counted twice
    assert cluster.api.show_host("compute1").memory_free_mib == 4000
    assert cluster.api.describe_resource("compute1")[-1].migration == view.id


def test_disks_of_a_host_that_tells_nothing_of_them_are_not_known_rather_than_none(cluster):
    total, used_now, *_ = cluster.api.describe_resource("compute1")

    assert total.disk_gib is used_now.disk_gib is None
    assert cluster.api.show_host("compute1").disk_free_gib is None


def test_an_unknown_host_is_told_as_such(cluster):
    for ask in (cluster.api.show_host, cluster.api.describe_resource):
        with pytest.raises(HostNotFoundError, match="There is no host compute9"):
            ask("compute9")


# ---- where instances have been


def test_the_history_of_an_instance_is_its_ended_migrations_newest_first(cluster):
    first = cluster.end_of(cluster.migrate("compute2"))
    back = cluster.end_of(cluster.migrate("compute1"))
    cluster.source.silence(Verb.CHECK_SOURCE)
    cluster.migrate("compute2")  # still open: no history yet

    history = cluster.api.instance_history("web1")

    assert [line.migration for line in history] == [back.id, first.id]
    newest = history[0]
    assert (newest.status, newest.source, newest.dest) == (MigrationStatus.COMPLETED, "compute2", "compute1")
    assert newest.measured_seconds == back.seconds
    assert newest.measured_downtime_ms == DOWNTIME_MS
    assert newest.predicted_seconds is newest.predicted_downtime_ms is newest.predicted_passes is None
    assert cluster.api.instance_history(GUEST.upper(), limit=1) == (newest,)


def test_what_was_measured_is_the_jobs_own_last_word(cluster):
    told = JobStatistics(
        memory_processed=104 * MIB, memory_rate=41 * MIB, iteration=4, downtime_ms=87, elapsed_ms=2300
    )
    cluster.source.script(
        Verb.LIVE, lambda command: replace(cluster.source.default(command), statistics=told)
    )
    cluster.end_of(cluster.migrate())

    (line,) = cluster.api.instance_history("web1")

    assert (line.measured_sent_mib, line.measured_passes, line.measured_rate_mib_s) == (104.0, 4, 41.0)
    assert line.measured_downtime_ms == 87


def test_an_instance_that_is_gone_keeps_its_history(cluster):
    cluster.end_of(cluster.migrate())
    cluster.dest.guests.clear()
    cluster.source.guests.clear()
    cluster.source.report()
    cluster.dest.report(gone=(GUEST,))
    cluster.until(lambda: cluster.api.list_instances() == ())

    by_uuid = cluster.api.instance_history(GUEST)

    assert len(by_uuid) == 1
    assert cluster.api.instance_history("web1") == by_uuid
    assert len(cluster.api.list_migrations(MigrationFilter(instance=GUEST))) == 1

    # when: another guest has that name now, the name means that one
    cluster.source.guests[OTHER] = guest_facts(OTHER)
    cluster.source.report()
    cluster.until(lambda: cluster.api.list_instances() != ())
    assert cluster.api.instance_history("web1") == ()
    assert cluster.api.instance_history(GUEST) == by_uuid


def test_a_name_of_two_instances_is_refused_by_every_method_that_takes_one(cluster):
    cluster.dest.guests[OTHER] = guest_facts(OTHER)
    cluster.dest.report()
    cluster.until(lambda: len(cluster.api.list_instances()) == 2)

    for ask in (
        cluster.api.show_instance,
        cluster.api.instance_history,
        lambda name: cluster.api.list_migrations(MigrationFilter(instance=name)),
        lambda name: cluster.api.live_migrate(LiveMigrationRequest(instance=name)),
    ):
        with pytest.raises(InstanceAmbiguousError, match=f"{GUEST} on compute1, {OTHER} on compute2"):
            ask("web1")
        with pytest.raises(InstanceNotFoundError, match="There is no instance web9"):
            ask("web9")
        with pytest.raises(InstanceNotFoundError):
            ask("1f6b2a34-98c1-4b7d-9b0e")  # of a uuid only a part


def test_the_limit_of_a_history_is_bounded(cluster):
    for limit in (0, -1, 10_001):
        with pytest.raises(InvalidRequestError, match="limit"):
            cluster.api.instance_history("web1", limit=limit)
