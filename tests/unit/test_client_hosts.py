"""Hosts, their resources, and where an instance has been: what is asked of the conductor, and what is shown."""

from dataclasses import fields, replace

from client.exit_codes import ExitCode
from common.states import ResourceKind, ServiceStatus
from tests.fakes.conductor import INSTANCE, MIGRATION, FakeConductor, instance_view, service_view
from tests.fakes.host_views import HOST, PAST, RESOURCES, resource
from tests.fakes.limosa import run


def test_disable_passes_the_reason_on_and_shows_it():
    conductor = FakeConductor(services=(service_view(),))

    ended = run(conductor, "service", "disable", "compute1", "--reason", "new memory", "-f", "json")

    assert ended.code == 0
    assert (ended.json["status"], ended.json["disabled_reason"]) == ("disabled", "new memory")
    assert conductor.requests == [("compute1", "new memory")]


def test_enable_shows_the_service_without_a_reason():
    conductor = FakeConductor(
        services=(service_view(status=ServiceStatus.DISABLED, disabled_reason="new memory"),)
    )

    ended = run(conductor, "service", "enable", "compute1")

    assert ended.code == 0
    assert "enabled" in ended.stdout
    assert "Disabled reason" not in ended.stdout
    assert conductor.requests == [("compute1", None)]


def test_disable_without_a_reason_is_a_usage_error():
    conductor = FakeConductor(services=(service_view(),))

    for argv in (
        ("compute1",),
        ("compute1", "--reason", ""),
        ("compute1", "--reason", "two\nlines"),
        ("compute1", "--reason", "\udcff"),
        ("--reason", "why"),
    ):
        assert run(conductor, "service", "disable", *argv).code == ExitCode.USAGE, argv

    assert conductor.requests == []


def test_service_list_has_status_beside_state_and_the_reason_where_there_is_one():
    enabled = service_view()
    disabled = service_view(host="compute2", status=ServiceStatus.DISABLED, disabled_reason="a bad disk")

    usual = run(FakeConductor(services=(enabled,)), "service", "list").stdout
    unusual = run(FakeConductor(services=(enabled, disabled)), "service", "list").stdout

    assert "| Status  | State |" in usual
    assert "Disabled reason" not in usual
    assert "a bad disk" in unusual


# ---- host list and show


def test_host_list_shows_what_is_left_and_what_there_is():
    conductor = FakeConductor(hosts=(HOST,))

    table = run(conductor, "host", "list").stdout
    (row,) = run(conductor, "host", "list", "-f", "json").json

    assert "| Name     | Status  | State | VCPUs used | VCPUs total | Memory free MiB |" in table
    assert (row["schema_version"], row["memory_claimed_mib"], row["guests"]) == (1, 0, ["db1", "web1"])


def test_host_show_is_all_of_it_and_nothing_empty_for_people():
    shown = run(FakeConductor(hosts=(HOST,)), "host", "show", "compute1")

    assert shown.code == 0
    for words in ("Agent version", "Hypervisor age s", "Memory claimed MiB", "CPU model", "db1, web1"):
        assert words in shown.stdout, words
    assert "Disabled reason" not in shown.stdout


def test_host_show_of_one_that_has_reported_nothing_keeps_every_key():
    bare = replace(
        HOST, libvirt_version=None, hypervisor_version=None, cpu_model=None, memory_free_mib=None, guests=()
    )

    shown = run(FakeConductor(hosts=(bare,)), "host", "show", "compute1", "-f", "json")

    assert shown.json.keys() == {"schema_version", *(field.name for field in fields(HOST))}
    assert shown.json["libvirt_version"] is None


# ---- describe-resource


def test_resources_have_novas_columns_and_the_sums_come_first():
    conductor = FakeConductor(hosts=(HOST,), resources=RESOURCES)

    lines = run(conductor, "service", "describe-resource", "compute1").stdout.splitlines()

    words = [[word.strip() for word in line.strip("|").split("|")] for line in lines if line[0] == "|"]
    assert words == [
        ["HOST", "INSTANCE", "cpu", "mem(mb)", "hdd", "Power state"],
        ["compute1", "(total)", "8", "4096", "500", "-"],
        ["compute1", "(used_now)", "1", "96", "380", "-"],
        ["compute1", "(used_max)", "1", "96", "20", "-"],
        ["compute1", "web1", "1", "96", "20", "running"],
    ]


def test_a_row_that_a_migration_holds_names_it():
    held = resource("db1", ResourceKind.CLAIM, migration=MIGRATION)
    conductor = FakeConductor(hosts=(HOST,), resources=(*RESOURCES, held))

    assert MIGRATION in run(conductor, "service", "describe-resource", "compute1").stdout


def test_resources_have_stable_keys_and_columns_by_key():
    conductor = FakeConductor(hosts=(HOST,), resources=RESOURCES)
    argv = ("service", "describe-resource", "compute1")

    row = run(conductor, *argv, "-f", "json").json[3]
    chosen = run(conductor, *argv, "-c", "instance", "-c", "memory_mib", "-f", "value").stdout
    in_table = run(conductor, *argv, "-c", "memory_mib").stdout
    by_memory = run(conductor, *argv, "--sort-column", "memory_mib", "--sort-descending").stdout

    assert row == {
        "schema_version": 1,
        "host": "compute1",
        "instance": "web1",
        "kind": "instance",
        "instance_uuid": INSTANCE,
        "power_state": "running",
        "migration": None,
        "cpu": 1,
        "memory_mib": 96,
        "disk_gib": 20,
    }
    assert chosen.splitlines()[0] == "(total) 4096"
    assert "Memory MiB" in in_table
    assert by_memory.index("(total)") < by_memory.index("web1")


# ---- history


def test_history_is_measured_figures_and_predicted_ones_as_keys():
    conductor = FakeConductor(instances=(instance_view(),), history=(PAST,))

    table = run(conductor, "instance", "history", "web1", "--limit", "5")
    (row,) = run(conductor, "instance", "history", "web1", "-f", "json").json

    assert "Measured downtime ms" in table.stdout
    assert "Predicted" not in table.stdout  # nothing to show under it
    assert (row["measured_seconds"], row["measured_passes"], row["predicted_seconds"]) == (2.34, 4, None)
    assert row.keys() == {"schema_version", *(field.name for field in fields(PAST))}
    assert conductor.requests == [("web1", 5), ("web1", 100)]


def test_predictions_are_shown_beside_what_was_measured_once_there_are_any():
    predicted = replace(PAST, predicted_downtime_ms=90)
    conductor = FakeConductor(instances=(instance_view(),), history=(PAST, predicted))

    table = run(conductor, "instance", "history", "web1").stdout

    assert "Predicted downtime ms | Measured downtime ms" in table
    assert "Predicted passes" not in table


def test_every_new_command_speaks_every_format():
    conductor = FakeConductor(
        hosts=(HOST,),
        resources=RESOURCES,
        instances=(instance_view(),),
        history=(PAST,),
        services=(service_view(),),
    )
    lists = (("host", "list"), ("service", "describe-resource", "compute1"), ("instance", "history", "web1"))
    shows = (("host", "show", "compute1"), ("service", "enable", "compute1"))
    for argv in (*lists, *shows):
        formats = ("table", "json", "yaml", "value", "csv" if argv in lists else "shell")
        for formatter in formats:
            ended = run(conductor, *argv, "-f", formatter)
            assert ended.code == 0, (argv, formatter)
            assert "compute1" in ended.stdout, (argv, formatter)
