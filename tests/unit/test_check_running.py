"""Checks beside each other: all findings, and a check that breaks is a finding that names it."""

import threading
from dataclasses import dataclass

import pytest

from common.checks import CHECK_FAILED, Check
from common.states import Result
from compute_agent import checks
from compute_agent.checks import running
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from compute_agent.settings import LiveMigrationSettings, Settings
from tests.fakes.host import WAIT_S

WOBBLY = Check(code="wobbly", sentence="It wobbles.", hint="Hold it.")


@dataclass(frozen=True)
class Look:
    settings: Settings


@pytest.fixture
def look(tmp_path):
    live_migration = LiveMigrationSettings(flags=())
    return Look(Settings(host="compute2", state_path=tmp_path, live_migration=live_migration))


def check_wobble(look):
    yield WOBBLY.finding(look.settings.host)


def check_nothing(look):
    return ()


def check_cpu_model(look):
    raise HypervisorUnreachableError(uri="qemu:///system", reason="it is down")


def check_with_a_bug(look):
    yield WOBBLY.finding(look.settings.host)
    raise KeyError("graphics")


def test_nothing_found_is_a_host_that_accepts(look):
    found = running.run([check_nothing], look)

    assert found.findings == ()
    assert found.result is Result.OK


def test_what_is_found_keeps_the_order_of_the_checks(look):
    found = running.run([check_nothing, check_wobble, check_wobble], look)

    assert [finding.code for finding in found.findings] == [WOBBLY.code, WOBBLY.code]
    assert found.result is Result.REFUSED


def test_a_check_that_cannot_be_made_is_named_and_hides_no_other(look):
    found = running.run([check_cpu_model, check_wobble], look)

    assert [finding.code for finding in found.findings] == [CHECK_FAILED.code, WOBBLY.code]
    assert "cpu model: libvirtd (qemu:///system) does not answer" in found.findings[0].sentence
    assert found.failures == (found.findings[0].sentence,)
    assert found.result is Result.ERROR, "a host that could not be looked at is no host that refuses"


def test_what_the_system_refuses_is_told_in_its_words_and_is_no_bug(look, caplog):
    def check_mounts(look):
        return open("/proc/self/no-such-file")  # noqa: PTH123

    [finding] = running.run([check_mounts], look).findings

    assert "mounts: /proc/self/no-such-file: No such file or directory" in finding.sentence
    assert caplog.text == ""


def test_a_bug_in_a_check_is_a_finding_and_its_traceback_is_in_the_log(look, caplog):
    found = running.run([check_with_a_bug, check_wobble], look)

    assert [finding.code for finding in found.findings] == [CHECK_FAILED.code, WOBBLY.code]
    assert "with a bug: internal error" in found.findings[0].sentence
    assert "Traceback" in caplog.text


def test_checks_run_beside_each_other_and_one_that_hangs_costs_a_bounded_time(look, monkeypatch):
    monkeypatch.setattr(running, "CHECKS_TIMEOUT_S", 0.1)
    release, has_met = threading.Event(), threading.Barrier(2)

    def check_hanging(look):
        has_met.wait(WAIT_S)
        release.wait(WAIT_S)
        return ()

    def check_beside(look):
        has_met.wait(WAIT_S)
        return ()

    found = running.run([check_hanging, check_beside], look)
    release.set()

    assert [finding.code for finding in found.findings] == [CHECK_FAILED.code]
    assert "hanging: it did not end in time" in found.findings[0].sentence


@pytest.mark.parametrize("registered", [checks.DEST_CHECKS, checks.SOURCE_CHECKS])
def test_every_registered_check_has_a_name_of_its_own(registered):
    names = [check.__name__ for check in registered]

    assert all(name.startswith("check_") for name in names)
    assert len(set(names)) == len(names)
