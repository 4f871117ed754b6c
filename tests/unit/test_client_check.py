"""`limosa check`: what a person and a program see, and the exit code."""

from dataclasses import replace

import pytest

from client import check
from client.exit_codes import ExitCode
from common import checks
from common.errors import InstanceNotFoundError
from common.states import CheckResult
from common.views import HOSTS_PER_CHECK_MAX, CheckRequest, HostCheckView
from tests.fakes.conductor import FakeConductor
from tests.fakes.limosa import run
from tests.fakes.migrations import SHORT

FITS = HostCheckView(host="compute3", result=CheckResult.FITS, findings=(), seconds=0.1)
REFUSES = HostCheckView(host="compute2", result=CheckResult.REFUSES, findings=(SHORT,), seconds=0.2)
WARNING = checks.INSTANCE_GONE.warning("compute1", instance="web1")
WARNS = HostCheckView(host="compute4", result=CheckResult.FITS, findings=(WARNING,), seconds=0.1)


@pytest.mark.parametrize(
    ("hosts", "views", "code"),
    [
        ((), (REFUSES, FITS), ExitCode.OK),
        ((), (REFUSES,), ExitCode.REFUSED),
        (("compute3",), (FITS,), ExitCode.OK),
        (("compute4",), (WARNS,), ExitCode.OK),
        (("compute2", "compute3"), (REFUSES, FITS), ExitCode.REFUSED),
    ],
)
def test_it_ends_with_0_if_all_named_hosts_fit_or_any_host_where_none_is_named(hosts, views, code):
    conductor = FakeConductor(checked=views)

    assert run(conductor, "check", "web1", *hosts).code == code
    assert conductor.requests == [CheckRequest(instance="web1", hosts=hosts)]


def test_a_person_sees_hosts_against_findings_and_below_what_to_do():
    shown = run(FakeConductor(checked=(REFUSES, WARNS, FITS)), "check", "web1")

    assert "web1 needs 96 MiB of memory" in shown.stdout
    assert "compute2: " not in shown.stdout, "its row names the host"
    assert "[memory_short]" in shown.stdout
    assert "compute1: warning: web1 is not known to libvirt" in shown.stdout
    assert shown.stderr.count("[memory_short] Choose another host") == 1


def test_a_column_alone_names_the_host_of_each_finding():
    shown = run(FakeConductor(checked=(REFUSES,)), "check", "web1", "-c", "findings")

    assert "compute2: web1 needs 96 MiB of memory" in shown.stdout


def test_of_what_is_missing_only_the_instance_is_required(capsys):
    assert run(FakeConductor(), "check").code == ExitCode.USAGE
    assert "required: INSTANCE\n" in capsys.readouterr().err


def test_a_program_sees_every_finding_whole():
    shown = run(FakeConductor(checked=(REFUSES,)), "check", "web1", "-f", "json")

    [row] = shown.json
    assert (row["schema_version"], row["host"], row["result"]) == (1, "compute2", "refuses")
    [finding] = row["findings"]
    assert finding["code"] == "memory_short"
    assert finding["severity"] == "refuses"
    assert finding["evidence"]["free_mib"] == "12"
    assert finding["sentence"] and finding["hint"]
    assert shown.stderr == ""


def test_a_host_named_twice_is_asked_once():
    conductor = FakeConductor(checked=(FITS,))

    run(conductor, "check", "web1", "compute3", "compute3")

    assert conductor.requests == [CheckRequest(instance="web1", hosts=("compute3",))]


class ManyHosts(FakeConductor):
    """Answers for one page of its hosts at a time."""

    def __init__(self, count):
        super().__init__()
        self.hosts = [f"compute{number:04}" for number in range(count)]

    def check_instance(self, request):
        self.requests.append(request)
        left = request.hosts or [host for host in self.hosts if host > request.after]
        return tuple(replace(FITS, host=host) for host in left[:HOSTS_PER_CHECK_MAX])


@pytest.mark.parametrize(("count", "requests"), [(63, 1), (64, 2), (150, 3)])
def test_all_hosts_are_asked_page_after_page(count, requests):
    conductor = ManyHosts(count)

    shown = run(conductor, "check", "web1", "-f", "json")

    assert [row["host"] for row in shown.json] == conductor.hosts
    assert len(conductor.requests) == requests


def test_many_named_hosts_are_asked_page_after_page_as_well():
    conductor = ManyHosts(100)

    shown = run(conductor, "check", "web1", *conductor.hosts, "-f", "json")

    assert [row["host"] for row in shown.json] == conductor.hosts
    assert [len(request.hosts) for request in conductor.requests] == [64, 36]


def test_beyond_the_most_hosts_it_says_that_not_all_were_asked():
    shown = run(ManyHosts(check.HOSTS_MAX + 100), "check", "web1", "-f", "json")

    assert len(shown.json) == 1024
    assert "Only the first 1024 hosts were asked" in shown.stderr


def test_an_unknown_instance_is_exit_3():
    ended = run(FakeConductor(error=InstanceNotFoundError(instance="nobody")), "check", "nobody")

    assert ended.code == ExitCode.NOT_FOUND
    assert "There is no instance nobody." in ended.stderr


def test_an_empty_host_is_a_usage_error():
    assert run(FakeConductor(), "check", "web1", "").code == ExitCode.USAGE


@pytest.mark.parametrize("command", ["check", "show", "live-migration"])
def test_a_malformed_uuid_is_a_usage_error_that_says_so(command, capsys):
    conductor = FakeConductor()

    ended = run(conductor, command, "1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5eXY")

    assert ended.code == ExitCode.USAGE
    assert "has the form of a uuid, and not all of it are hexadecimal digits" in capsys.readouterr().err
    assert conductor.requests == []


def test_a_name_may_have_hyphens():
    assert run(FakeConductor(checked=(FITS,)), "check", "web-1-of-all").code == ExitCode.OK
