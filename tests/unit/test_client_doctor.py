"""`limosa doctor` and `limosa cpu-baseline`: what a person and a program see, and the exit code."""

from client.exit_codes import ExitCode
from common.diagnosis import BaselineView, DoctorRequest
from common.doctor_checks import CLOCK_LOOSE
from common.doctor_questions import CLOCK, HOOK, PEER, PEER_PORTS
from common.pair_checks import PORT_UNREACHABLE
from tests.fakes.conductor import FakeConductor
from tests.fakes.limosa import run

PASSED = HOOK.passed("It is there.", host="compute1")
WARNED = CLOCK.found(CLOCK_LOOSE.finding("compute1"), host="compute1")
CLOSED = PEER_PORTS.found(
    PORT_UNREACHABLE.finding(
        "compute1", peer="compute2", port=49152, address="192.0.2.2", reason="refused", port_min=1, port_max=2
    ),
    host="compute1",
    peer="compute2",
)


def test_a_person_sees_one_line_for_each_thing_with_the_command_at_its_end():
    shown = run(FakeConductor(diagnoses=(PASSED, WARNED, CLOSED)), "doctor")

    first, second, third = shown.stdout.splitlines()
    assert first == "pass  compute1  hook: It is there."
    assert second.startswith("warn  compute1  clock: ") and second.endswith("`timedatectl set-ntp true`")
    assert third.startswith("fix   compute1 -> compute2  peer-ports: ") and third.endswith(
        "`nft list ruleset`"
    )


def test_it_ends_with_4_only_if_something_would_stop_a_migration():
    assert run(FakeConductor(diagnoses=(PASSED, WARNED)), "doctor").code == ExitCode.OK
    assert run(FakeConductor(diagnoses=(PASSED, CLOSED)), "doctor").code == ExitCode.REFUSED


def test_a_program_sees_all_of_it():
    shown = run(FakeConductor(diagnoses=(PASSED, CLOSED)), "doctor", "-f", "json")

    passed, closed = shown.json
    assert (passed["schema_version"], passed["result"], passed["question"]) == (1, "pass", "hook")
    assert (closed["code"], closed["peer"], closed["evidence"]["port"]) == (
        "port_unreachable",
        "compute2",
        "49152",
    )
    assert shown.code == ExitCode.REFUSED


def test_problems_alone_are_shown_if_asked_for():
    assert run(FakeConductor(diagnoses=(PASSED, WARNED)), "doctor", "--problems").stdout.count("\n") == 1


def test_named_hosts_are_asked_once():
    conductor = FakeConductor(diagnoses=(PEER.passed("x.", host="a", peer="b"),))
    run(conductor, "doctor", "compute1", "compute1")
    assert conductor.requests == [DoctorRequest(hosts=("compute1",))]


def test_the_baseline_is_shown_with_the_xml_for_the_guest():
    view = BaselineView(model="EPYC", features=("require aes",), hosts=("a", "b"), xml="<cpu/>")
    shown = run(FakeConductor(baseline=(view,)), "cpu-baseline", "a", "b")
    assert "EPYC" in shown.stdout and "require aes" in shown.stdout and "<cpu/>" in shown.stdout
    assert run(FakeConductor(baseline=(view,)), "cpu-baseline", "a", "b", "-f", "json").json["hosts"] == [
        "a",
        "b",
    ]
