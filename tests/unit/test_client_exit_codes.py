"""The exit codes of `limosa`, one by one, and the sentences that come with them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from client.exit_codes import ExitCode
from common import checks, errors
from common.identity import KeyRevokedError, Kind, Principal
from common.states import MigrationStatus, StorageMode
from common.views import LiveMigrationRequest
from tests.fakes import limosa
from tests.fakes.conductor import MIGRATION, FakeConductor, migration_view
from tests.fakes.limosa import run
from tests.fakes.migrations import CANCELLED, COMPLETED, ERROR, FAILED, REFUSED, RUNNING, SHORT


def moving(*script, **more) -> FakeConductor:
    return FakeConductor(migrations=(migration_view(),), script=script, **more)


def test_exit_0_a_completed_migration_is_told_in_one_sentence_with_its_numbers():
    conductor = moving(RUNNING, COMPLETED)
    ended = run(conductor, "live-migration", "web1", "compute2", "-f", "json", is_terminal=True)
    assert ended.code == ExitCode.OK
    assert ended.stderr.endswith(
        "web1 moved from compute1 to compute2 in 2.3 s, downtime 87 ms, 104 MiB sent, 4 passes, 41.0 MiB/s.\n"
    )
    assert ended.json["status"] == "completed"
    assert conductor.requests == [LiveMigrationRequest(instance="web1", dest="compute2")]


@pytest.mark.parametrize(
    ("option", "mode"),
    [("--block-migrate", StorageMode.BLOCK), ("--shared-storage", StorageMode.SHARED)],
)
def test_how_the_disks_get_there_is_told(option: str, mode: StorageMode):
    conductor = moving(COMPLETED)
    run(conductor, "live-migration", "web1", "compute2", option)
    assert conductor.requests == [LiveMigrationRequest(instance="web1", dest="compute2", storage=mode)]


def test_disks_are_not_both_copied_and_left():
    conductor = moving(COMPLETED)
    done = run(conductor, "live-migration", "web1", "--block-migrate", "--shared-storage")
    assert (done.code, conductor.requests) == (ExitCode.USAGE, [])


def test_exit_0_a_script_sees_nothing_but_the_result():
    ended = run(moving(COMPLETED), "live-migration", "web1", "-f", "json")
    assert (ended.code, ended.stderr) == (0, "")


def test_exit_0_without_waiting_when_it_is_accepted():
    ended = run(
        moving(AssertionError()), "live-migration", "web1", "--no-wait", "-f", "json", is_terminal=True
    )
    assert ended.code == ExitCode.OK
    assert ended.json["status"] == "accepted"
    assert f"`limosa migration watch {MIGRATION}`" in ended.stderr


def test_exit_1_a_migration_that_needs_an_operator():
    ended = run(moving(ERROR), "live-migration", "web1")
    assert ended.code == ExitCode.ERROR
    assert "needs an operator" in ended.stderr
    assert "both hosts run it." in ended.stderr


def test_exit_1_no_conductor():
    silent = FakeConductor(error=errors.ServiceUnreachableError(timeout_s=10, bus="rabbit://mq1"))
    for command in (
        ["list"],
        ["show", "web1"],
        ["service", "list"],
        ["migration", "list"],
        ["live-migration", "web1"],
    ):
        ended = run(silent, *command)
        assert ended.code == ExitCode.ERROR, command
        assert "No conductor answered within 10 s" in ended.stderr
        assert "RabbitMQ" in ended.stderr
    assert "`limosa migration list --open`" in ended.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ["live-migration"],
        ["live-migration", "web1", "--timeout", "0"],
        ["live-migration", "web1", "--timeout", "nan"],
        ["live-migration", "web1", "--timeout", "soon"],
        ["live-migration", "web1", "--wait", "--no-wait"],
        ["live-migration", "web1", "compute1", "compute2"],
        ["migration", "list", "--limit", "0"],
        ["show", ""],
        ["live-migration", "web1", " "],
        ["migration", "list", "--instance", ""],
        ["show", "x" * 256],
        ["instance", "history", ""],
        ["instance", "history", "web1", "--limit", "x"],
        ["host", "show"],
        ["service", "enable"],
        ["service", "disable", "compute1"],
        ["service", "describe-resource", " "],
        ["show", "\udcff"],  # what Python makes of an argument that is no UTF-8
        ["list", "-f", "xml"],
        ["list", "-c", "colour"],
        ["no-such-command"],
        ["-v"],
    ],
)
def test_exit_2_usage(argv):
    conductor = moving(COMPLETED)
    assert run(conductor, *argv).code == ExitCode.USAGE
    assert conductor.requests == []


def test_exit_2_an_ambiguous_name_is_refused_with_the_candidates():
    twice = errors.InstanceAmbiguousError(count=2, instance="web1", candidates="a, b")
    ended = run(FakeConductor(error=twice), "show", "web1")
    assert ended.code == ExitCode.USAGE
    assert ended.stderr == "2 instances are named web1: a, b.\nName the uuid.\n"


def test_exit_2_a_configuration_that_cannot_work():
    def connect(files):
        raise errors.ConfigurationError(group="DEFAULT", option="transport_url", reason="is empty")

    ended = limosa.Run(connect, "list")
    assert ended.code == ExitCode.USAGE
    assert ended.stderr.startswith("[DEFAULT]transport_url: is empty.\n")


@pytest.mark.parametrize("argv", [["show", "web9"], ["migration", "show", "x"], ["migration", "log", "x"],
                                  ["migration", "watch", "x"], ["migration", "abort", "x"],
                                  ["service", "enable", "x"], ["service", "disable", "x", "--reason", "y"],
                                  ["service", "describe-resource", "x"], ["host", "show", "x"],
                                  ["instance", "history", "x"]])  # fmt: skip
def test_exit_3_not_found(argv):
    ended = run(FakeConductor(), *argv)
    assert ended.code == ExitCode.NOT_FOUND
    assert ended.stderr.startswith("There is no")


def test_exit_4_refused_at_once_with_every_finding_and_hint():
    refusal = errors.RefusedError(instance="web1", count=2, findings=(SHORT, checks.DEST_IS_SOURCE.finding(
        instance="web1", dest="compute2")))  # fmt: skip
    ended = run(FakeConductor(error=refusal), "live-migration", "web1", "compute2")
    assert ended.code == ExitCode.REFUSED
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "web1 was not moved: 2 findings against it.",
        "- compute2: web1 needs 96 MiB of memory; compute2 has 12 MiB free for guests. [memory_short]",
        "    Choose another host or free memory there (total 512 MiB, ratio 1.0, reserved 400 MiB).",
        "- web1 runs on compute2 already. [dest_is_source]",
        "    Name another host, or none to let the conductor choose.",
    ]


def test_exit_4_refused_by_the_checks_of_the_hosts():
    ended = run(moving(REFUSED), "live-migration", "web1")
    assert ended.code == ExitCode.REFUSED
    assert "nothing was changed" in ended.stderr
    assert "[memory_short]" in ended.stderr


def test_exit_5_failed_and_safe_on_its_source_though_a_candidate_was_refused_before():
    ended = run(moving(RUNNING, FAILED), "live-migration", "web1")
    assert ended.code == ExitCode.FAILED
    assert "safe on compute1" in ended.stderr
    assert "the link broke." in ended.stderr


def test_the_numbers_of_a_job_that_was_ended_are_told_too():
    for ended in (
        replace(FAILED, progress=COMPLETED.progress),
        replace(CANCELLED, progress=COMPLETED.progress),
    ):
        told = run(moving(ended), "live-migration", "web1").stderr
        assert "0.0 s, 104 MiB sent, 4 passes, 41.0 MiB/s" in told


def test_exit_6_in_doubt_when_the_timeout_passes():
    doubtful = migration_view(status=MigrationStatus.RUNNING, waiting_for="compute1 has not answered yet")
    ended = run(moving(doubtful), "live-migration", "web1", "--timeout", "0.01", "-f", "json")
    assert ended.code == ExitCode.UNKNOWN
    assert "outcome is not known yet: compute1 has not answered yet. `limosa" in ended.stderr
    assert ended.json["status"] == "running"


def test_exit_6_conductors_gone_while_watching():
    gone = [errors.ServiceUnreachableError(timeout_s=1, bus="rabbit://mq1")] * 100
    ended = run(moving(RUNNING, *gone), "live-migration", "web1", "--timeout", "0.05")
    assert ended.code == ExitCode.UNKNOWN
    assert "is not known here" in ended.stderr


def test_exit_6_who_may_watch_no_more_is_told_that_it_goes_on():
    revoked = KeyRevokedError(signer="administrator:bob", at="2025-03-01")
    done = run(FakeConductor(migrations=(RUNNING,), script=(revoked,)), "live-migration", "web1", "compute2")
    assert done.code == ExitCode.UNKNOWN
    assert "The key of administrator:bob was revoked" in done.stderr
    assert "It goes on without this command." in done.stderr


def test_exit_7_still_running_when_the_timeout_passes():
    ended = run(moving(RUNNING), "live-migration", "web1", "--timeout", "0.01")
    assert ended.code == ExitCode.STILL_RUNNING
    assert "is running after 0.01 s; it goes on" in ended.stderr


def test_exit_8_aborted():
    ended = run(moving(RUNNING, CANCELLED), "live-migration", "web1")
    assert ended.code == ExitCode.ABORTED
    assert "web1 runs on compute1" in ended.stderr


def test_exit_9_not_permitted_is_told_with_who_may_not_do_what():
    reader = Principal(kind=Kind.ADMINISTRATOR, name="ann")
    for argv in (["live-migration", "web1"], ["service", "disable", "compute1", "--reason", "memory"]):
        refusal = errors.NotPermittedError(
            signer=reader, what="migrate an instance", why="the role is reader"
        )
        ended = run(FakeConductor(error=refusal), *argv)
        assert ended.code == ExitCode.NOT_PERMITTED
        assert "ann may not migrate an instance" in ended.stderr
        assert "`limosa admin list`" in ended.stderr
        assert ended.stdout == ""


def test_every_exit_code_is_documented_and_has_a_test():
    """The table of docs/client.md and the tests of this file, against the enumeration."""
    page = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)}
    tested = {int(code) for name in globals() for code in re.findall(r"^test_exit_(\d+)_", name)}
    assert documented == tested == {int(code) for code in ExitCode}


def test_exit_9_is_told_by_the_error_itself():
    class NotPermittedForTest(errors.LimosaError):
        message = "You may not."
        exit_code = ExitCode.NOT_PERMITTED

    assert run(FakeConductor(error=NotPermittedForTest()), "list").code == ExitCode.NOT_PERMITTED


def test_exit_130_ctrl_c_stops_watching_and_says_how_to_abort():
    ended = run(moving(RUNNING, KeyboardInterrupt()), "live-migration", "web1", "-f", "json")
    assert ended.code == ExitCode.INTERRUPTED
    assert "goes on" in ended.stderr
    assert f"`limosa migration abort {MIGRATION}`" in ended.stderr
    assert ended.json["status"] == "running"


def test_exit_130_ctrl_c_before_the_answer_says_where_to_look():
    ended = run(FakeConductor(error=KeyboardInterrupt()), "live-migration", "web1")
    assert ended.code == ExitCode.INTERRUPTED
    assert "`limosa migration list --open`" in ended.stderr


def test_watch_ends_as_the_migration_does():
    assert (
        run(FakeConductor(migrations=(RUNNING,), script=(COMPLETED,)), "migration", "watch", MIGRATION).code
        == 0
    )
    assert run(FakeConductor(migrations=(FAILED,)), "migration", "watch", MIGRATION).code == ExitCode.FAILED


def test_a_bug_is_one_line_and_exit_1():
    ended = run(FakeConductor(error=RuntimeError("boom")), "list")
    assert ended.code == ExitCode.ERROR
    assert ended.stderr == "boom\n"


def test_exit_2_a_host_is_not_declared_down_by_the_way():
    conductor = FakeConductor(migrations=(migration_view(),))

    ended = run(conductor, "migration", "judge", MIGRATION, "--down-host", "compute2")

    assert ended.code == 2
    assert "add --yes" in ended.stderr
    assert conductor.requests == []


def test_exit_0_judged_again_or_with_a_host_that_is_down():
    conductor = FakeConductor(migrations=(migration_view(),))

    assert run(conductor, "migration", "judge", MIGRATION).code == 0
    assert run(conductor, "migration", "judge", MIGRATION, "--down-host", "compute2", "--yes").code == 0

    assert conductor.requests == [(MIGRATION, None), (MIGRATION, "compute2")]
