"""`limosa security-group`, `limosa port` and `limosa firewall`, against a conductor in memory."""

import pytest

from client.sentences import of_rule
from common.errors import InvalidRequestError, SecurityGroupInUseError
from common.firewall_views import PortFilter, PortRequest, RuleRequest, SecurityGroupRequest
from common.states import Direction
from tests.fakes.conductor import (
    FakeConductor,
    firewall_view,
    group_view,
    port_view,
    rule_view,
)
from tests.fakes.limosa import run

MAC = "52:54:00:00:00:01"


def test_groups_are_listed_and_one_is_shown_with_its_rules():
    conductor = FakeConductor(groups=(group_view(), group_view(name="db")))

    assert [row["name"] for row in run(conductor, "security-group", "list", "-f", "json").json] == [
        "web",
        "db",
    ]
    assert "7: ingress IPv4 tcp 80 from anybody" in run(conductor, "security-group", "show", "web").stdout
    [rule] = run(conductor, "security-group", "show", "web", "-f", "json").json["rules"]
    assert (rule["id"], rule["port_min"], rule["remote"]) == (7, 80, None)
    assert run(conductor, "security-group", "show", "mail").code == 3


def test_a_group_is_created_with_its_description():
    conductor = FakeConductor()
    assert run(conductor, "security-group", "create", "web", "--description", "web servers").code == 0
    assert conductor.requests == [SecurityGroupRequest(name="web", description="web servers")]


def test_a_group_in_use_is_not_deleted_and_its_users_are_named():
    conductor = FakeConductor(error=SecurityGroupInUseError(group="web", users=f"{MAC} of web1"))
    done = run(conductor, "security-group", "delete", "web")
    assert done.code == 4
    assert f"Security group web is in use: {MAC} of web1." in done.stderr
    assert "limosa port unset" in done.stderr


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ((), {}),
        (
            ("--ingress", "--protocol", "tcp", "--port", "80"),
            {"protocol": "tcp", "port_min": 80, "port_max": 80},
        ),
        (
            ("--egress", "--protocol", "udp", "--port", "53:54", "--remote", "10.0.0.0/8"),
            {
                "direction": Direction.EGRESS,
                "protocol": "udp",
                "port_min": 53,
                "port_max": 54,
                "remote": "10.0.0.0/8",
            },
        ),
        (("--remote-group", "db", "--family", "6"), {"remote_group": "db", "family": 6}),
        (
            ("--protocol", "icmp", "--icmp-type", "8", "--icmp-code", "0"),
            {"protocol": "icmp", "icmp_type": 8, "icmp_code": 0},
        ),
    ],
)
def test_a_rule_is_asked_for_as_it_is_written(words, asked):
    conductor = FakeConductor()
    assert run(conductor, "security-group", "rule", "add", "web", *words).code == 0
    request = {"group": "web", "direction": Direction.INGRESS, **asked}
    assert conductor.requests == [RuleRequest(**request)]


@pytest.mark.parametrize(
    "words",
    [
        ("--port", "http"),
        ("--port", "80:"),
        ("--port", ""),
        ("--ingress", "--egress"),
        ("--remote", "10.0.0.0/8", "--remote-group", "db"),
        ("--family", "four"),
    ],
)
def test_what_is_no_rule_at_all_is_not_sent(words):
    conductor = FakeConductor()
    assert run(conductor, "security-group", "rule", "add", "web", *words).code == 2
    assert conductor.requests == []


def test_a_rule_that_makes_no_sense_is_told_in_the_conductors_words():
    conductor = FakeConductor(
        error=InvalidRequestError(reason="icmp has no ports; it has a type and a code.")
    )
    done = run(conductor, "security-group", "rule", "add", "web", "--protocol", "icmp", "--port", "80")
    assert (done.code, done.stderr) == (2, "icmp has no ports; it has a type and a code.\n")


def test_a_rule_is_removed_by_its_number():
    conductor = FakeConductor()
    assert run(conductor, "security-group", "rule", "remove", "web", "7").code == 0
    assert conductor.requests == [("web", 7)]
    assert run(conductor, "security-group", "rule", "remove", "web", "seven").code == 2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"port_max": 90}, "7: ingress IPv4 tcp 80-90 from anybody"),
        ({"protocol": "any", "port_min": None, "port_max": None}, "7: ingress IPv4 any from anybody"),
        ({"protocol": "icmp", "port_min": 8, "port_max": 8}, "7: ingress IPv4 icmp 8/8 from anybody"),
        ({"protocol": "icmp", "port_min": 0, "port_max": None}, "7: ingress IPv4 icmp 0 from anybody"),
        ({"direction": Direction.EGRESS, "remote": "10.0.0.0/8"}, "7: egress IPv4 tcp 80 to 10.0.0.0/8"),
        ({"remote_group": "db", "family": 6}, "7: ingress IPv6 tcp 80 from group db"),
    ],
)
def test_a_rule_reads_as_one_line(changes, text):
    assert of_rule(rule_view(**changes)) == text


def test_what_is_not_given_of_an_interface_stays():
    conductor = FakeConductor()
    words = ("port", "set", "web1", MAC)

    assert run(conductor, *words, "--address", "10.0.0.1", "--address", "fd00::1").code == 0
    assert run(conductor, *words, "--group", "web", "--no-address").code == 0
    assert run(conductor, *words, "--no-group").code == 0

    assert conductor.requests == [
        PortRequest(instance="web1", mac=MAC, addresses=("10.0.0.1", "fd00::1")),
        PortRequest(instance="web1", mac=MAC, addresses=(), groups=("web",)),
        PortRequest(instance="web1", mac=MAC, groups=()),
    ]


def test_interfaces_are_listed_and_forgotten():
    conductor = FakeConductor(ports=(port_view(addresses=("10.0.0.1", "fd00::1"), groups=("web",)),))

    listed = run(conductor, "port", "list", "--instance", "web1", "--group", "web")
    assert "| 10.0.0.1  | web" in listed.stdout
    assert run(conductor, "port", "list", "-f", "json").json[0]["addresses"] == ["10.0.0.1", "fd00::1"]
    assert run(conductor, "port", "unset", "web1", MAC).code == 0
    assert conductor.requests == [
        PortFilter(instance="web1", group="web"),
        PortFilter(),
        ("web1", MAC),
    ]


def test_what_is_in_force_is_shown_as_it_stands_on_the_host():
    conductor = FakeConductor(firewall=(firewall_view(),))

    shown = run(conductor, "firewall", "show", "web1", "--host", "compute2")

    assert shown.code == 0
    assert f"{MAC} vnet0" in shown.stdout
    assert "    tcp dport 80 accept" in shown.stdout
    assert conductor.requests == [("web1", "compute2")]


@pytest.mark.parametrize(
    "words",
    [
        ("security-group", "rule", "add", "web", "--remote", ""),
        ("port", "set", "web1", MAC, "--address", ""),
    ],
)
def test_an_empty_address_is_a_variable_that_somebody_forgot(words):
    conductor = FakeConductor()
    assert run(conductor, *words).code == 2
    assert conductor.requests == []
