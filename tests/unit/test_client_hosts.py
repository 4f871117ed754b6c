"""`limosa service enable|disable`: what is asked of the conductor, and what is shown of hosts."""

from client.exit_codes import ExitCode
from common.states import ServiceStatus
from tests.fakes.conductor import FakeConductor, service_view
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

    for argv in (("compute1",), ("compute1", "--reason", ""), ("--reason", "why")):
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
