"""What every command shows, to people and to programs, against a conductor in memory."""

import csv
import io
import json
import logging
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import yaml

from client.shell import COMMANDS
from common.states import MigrationStatus, Phase
from common.views import JournalView, MigrationFilter
from tests.fakes import limosa
from tests.fakes.conductor import (
    INSTANCE,
    MIGRATION,
    NOW,
    FakeConductor,
    instance_view,
    service_view,
)
from tests.fakes.limosa import run
from tests.fakes.migrations import COMPLETED, FAILED, RUNNING


def test_list_shows_a_table_for_people_and_every_key_for_programs():
    conductor = FakeConductor(instances=(instance_view(),))
    table = run(conductor, "list")
    assert table.code == 0
    assert "| UUID " in table.stdout
    assert "Memory MiB" in table.stdout
    assert "Has autostart" not in table.stdout
    (row,) = run(conductor, "list", "-f", "json").json
    assert row == {
        "schema_version": 1,
        "uuid": INSTANCE,
        "name": "web1",
        "host": "compute1",
        "power_state": "running",
        "task_state": None,
        "vcpus": 1,
        "memory_mib": 96,
        "is_persistent": True,
        "has_autostart": False,
        "conflict": [],
        "migration": None,
        "updated_at": NOW,
    }


def test_help_is_about_the_command_that_is_named():
    conductor = FakeConductor()
    for argv in (("migration", "list", "--help"), ("migration", "list", "-h"), ("help", "migration", "list")):
        assert run(conductor, *argv).stdout.startswith("usage: limosa migration list"), argv
    for argv in (("--help",), ()):
        assert "\n  live-migration  Move" in run(conductor, *argv).stdout, argv


def test_columns_are_chosen_by_key_or_heading_in_every_format():
    conductor = FakeConductor(instances=(instance_view(),))
    assert run(conductor, "list", "-f", "value", "-c", "name", "-c", "Memory MiB").stdout == "web1 96\n"
    assert "yes" in run(conductor, "list", "-c", "is_persistent").stdout


def test_lists_sort_by_key():
    conductor = FakeConductor(
        instances=(instance_view(name="b", memory_mib=9), instance_view(name="a", memory_mib=10))
    )
    by_memory = run(
        conductor, "list", "-f", "value", "-c", "name", "-c", "memory_mib", "--sort-column", "memory_mib"
    )
    assert by_memory.stdout == "b 9\na 10\n"


def test_yaml_is_plain_and_csv_carries_lists_as_json():
    conductor = FakeConductor(instances=(instance_view(conflict=("compute1", "compute2")),))
    (row,) = yaml.safe_load(run(conductor, "list", "-f", "yaml").stdout)
    assert row["conflict"] == ["compute1", "compute2"]
    assert row["power_state"] == "running"
    (line,) = csv.DictReader(io.StringIO(run(conductor, "list", "-f", "csv").stdout))
    assert json.loads(line["conflict"]) == ["compute1", "compute2"]


def test_show_leaves_out_what_is_empty_for_people_only():
    conductor = FakeConductor(instances=(instance_view(),))
    assert "Task state" not in run(conductor, "show", "web1").stdout
    assert run(conductor, "show", INSTANCE, "-f", "json").json["task_state"] is None


def test_service_list():
    conductor = FakeConductor(
        services=(service_view(), service_view(binary="limosa-conductor", memory_free_mib=None))
    )
    table = run(conductor, "service", "list").stdout
    assert "Last seen s" in table
    assert "None" not in table
    assert run(conductor, "service", "list", "-f", "json").json[0]["memory_free_mib"] == 3488


def test_migration_list_passes_the_filter_on():
    conductor = FakeConductor(migrations=(COMPLETED,))
    assert run(conductor, "migration", "list", "--host", "compute1", "--open", "--limit", "5").code == 0
    assert run(conductor, "migration", "list").code == 0
    assert conductor.requests == [
        MigrationFilter(instance=None, host="compute1", is_open=True, limit=5),
        MigrationFilter(instance=None, host=None, is_open=None, limit=100),
    ]


def test_migration_show_carries_steps_and_findings():
    conductor = FakeConductor(migrations=(FAILED,))
    shown = run(conductor, "migration", "show", MIGRATION, "-f", "json").json
    assert shown["steps"][0] == {
        "step": "pre_live_migration",
        "host": "compute2",
        "seconds": 0.0125,
        "seconds_on_host": 0.01,
    }
    assert shown["findings"][0]["code"] == "memory_short"
    assert shown["status"] == "failed"
    assert {"downtime_ms", "seconds", "schema_version"} <= shown.keys()
    table = run(conductor, "migration", "show", MIGRATION)
    assert table.code == 0
    assert "0.013 s (0.010 s there) pre_live_migration on compute2" in table.stdout


def test_migration_log_tells_the_story_in_its_order():
    lines = tuple(
        JournalView(
            at=NOW,
            seconds=at,
            phase=Phase.LIVE,
            status=MigrationStatus.RUNNING,
            epoch=1,
            host=host,
            sentence=sentence,
        )
        for at, host, sentence in ((0.0, "compute2", "accepted"), (2.5, "compute1", "moved"))
    )
    conductor = FakeConductor(migrations=(COMPLETED,), journal=lines)
    story = run(conductor, "migration", "log", MIGRATION).stdout
    assert story.index("accepted") < story.index("moved")
    assert [
        line["sentence"] for line in run(conductor, "migration", "log", MIGRATION, "-f", "json").json
    ] == [
        "accepted",
        "moved",
    ]


def test_an_id_is_known_however_it_is_typed():
    conductor = FakeConductor(migrations=(COMPLETED,))
    assert run(conductor, "migration", "show", MIGRATION.upper()).code == 0


def test_migration_abort_asks_and_returns():
    conductor = FakeConductor(migrations=(RUNNING,))
    assert run(conductor, "migration", "abort", MIGRATION).code == 0
    assert conductor.requests == [MIGRATION]


# ---- the shell


def test_alone_it_shows_its_commands():
    ended = run(FakeConductor())
    assert ended.code == 0
    assert "live-migration" in ended.stdout


def test_every_command_of_setup_cfg_explains_itself():
    commands = entry_points(group=COMMANDS)
    assert len(commands) >= 9
    for command in commands:
        assert command.load().__doc__, command.name


def test_every_command_stands_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
    for command in entry_points(group=COMMANDS):
        assert re.search(rf"^\| `limosa {re.escape(command.name)}[ `]", page, flags=re.MULTILINE), (
            command.name
        )


def test_completion_knows_every_command_and_asks_nobody():
    def connect(files):
        raise AssertionError("a conductor was asked")

    ended = limosa.Run(connect, "complete")

    assert ended.code == 0
    for command in entry_points(group=COMMANDS):
        first, *rest = command.name.split()
        firsts = re.search(r" cmds='([^']*)'", ended.stdout)
        assert firsts and first in firsts.group(1).split(), command.name
        if rest:
            seconds = re.search(rf"cmds_{first.replace('-', '_')}='([^']*)'", ended.stdout)
            assert seconds and rest[0] in seconds.group(1).split(), command.name


def test_libraries_stay_silent_unless_asked():
    class Talking(FakeConductor):
        def list_instances(self):
            logging.getLogger("oslo.messaging").error("AMQP server is unreachable")
            return ()

    assert run(Talking(), "list").stderr == ""
    assert "AMQP" in run(Talking(), "-v", "list").stderr


def test_config_files_reach_the_connection():
    given = []

    def connect(files):
        given.append(files)
        return FakeConductor()

    assert limosa.Run(connect, "--config-file", "a.conf", "--config-file", "b.conf", "list").code == 0
    assert given == [["a.conf", "b.conf"]]


def test_what_the_output_is_written_to_changes_no_exit_code():
    """The real process: closed streams and a locale without UTF-8 are none of the migration's business."""
    limosa_in_c = (
        "import sys; from client import connection, shell; from tests.fakes.conductor import *;"
        " connection.connect = lambda files: FakeConductor(instances=(instance_view(name='gr\\xf6\\xdfe'),));"
        " sys.exit(shell.main(['list', '-f', 'value', '-c', 'name']))"
    )
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ascii_only.pop("PYTHONIOENCODING", None)  # tox sets it
    for redirection, expected in (("", r"gr\xf6\xdfe"), (">&-", ""), ("2>&-", r"gr\xf6\xdfe")):
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", limosa_in_c],
            env=ascii_only,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, expected, ""), redirection
