"""Security groups as an administrator uses them, with hosts that filter: changes arrive, what makes no sense does not."""

import json
from collections.abc import Iterator

import pytest

from lab import network
from lab.guest import registry
from lab.lab import Lab
from tests.lab import observer
from tests.lab.test_firewall import HOSTS, ruleset, set_bridge_netfilter

UNKNOWN_MAC = "52:54:00:ff:ff:ff"


@pytest.fixture(scope="module")
def hosts_filter(lab: Lab) -> Iterator[None]:
    set_bridge_netfilter(lab, HOSTS, is_on=True)
    yield
    set_bridge_netfilter(lab, HOSTS, is_on=False)


@pytest.fixture
def guest(lab: Lab, hosts_filter: None) -> Iterator[tuple[str, str]]:
    """A guest on compute1 in a group that lets nothing in: its name and MAC."""
    name = "grouped"
    lab.guest_create(name, "compute1")
    observer.wait_until_found(lab, name)
    mac = network.guest_mac(registry.get(name, paths=lab.paths).number)
    for group in ("inner", "outer"):
        lab.limosa("security-group", "create", group)
    lab.limosa("port", "set", name, mac, "--group", "inner")
    wait_until_current(lab, name)
    yield name, mac
    lab.limosa("port", "unset", name, mac)
    observer.wait_until(lambda: not any(ruleset(lab, host) for host in HOSTS), what="nobody is filtered")
    for group in ("inner", "outer"):
        lab.limosa("security-group", "delete", group)
    lab.guest_delete(name)


def test_each_change_comes_into_force_on_the_host_where_the_guest_is_by_then(
    lab: Lab, guest: tuple[str, str]
) -> None:
    name, mac = guest
    rule = ("security-group", "rule", "add", "inner", "--protocol", "tcp")

    lab.limosa(*rule, "--port", "8001", "--remote-group", "outer")
    assert "dport 8001" not in wait_until_current(lab, name), "nobody is in that group"

    address = registry.get(name, paths=lab.paths).address
    lab.limosa("port", "set", name, mac, "--group", "inner", "--group", "outer", "--address", address)
    assert f"ip saddr {address} tcp dport 8001 accept" in wait_until_current(lab, name)

    migration = json.loads(lab.limosa("live-migration", name, "compute2", "--no-wait", "-f", "json").stdout)
    added = json.loads(lab.limosa(*rule, "--port", "8002", "-f", "json").stdout)
    lab.limosa("migration", "watch", migration["id"], timeout_s=60)

    assert "dport 8002" in wait_until_current(lab, name)
    assert "dport 8002" in ruleset(lab, "compute2")
    lab.limosa("security-group", "rule", "remove", "inner", str(added["id"]))
    assert "dport 8002" not in wait_until_current(lab, name)
    assert ruleset(lab, "compute1") == ""


def test_what_makes_no_sense_is_refused_and_changes_nothing(lab: Lab, guest: tuple[str, str]) -> None:
    name, mac = guest
    before = declared(lab), ruleset(lab, "compute1")
    for code, *words in (
        (2, "security-group", "rule", "add", "inner", "--protocol", "tcp", "--port", "90:80"),
        (2, "security-group", "rule", "add", "inner", "--protocol", "icmp", "--port", "80"),
        (2, "security-group", "rule", "add", "inner", "--remote", "10.0.0.5/24"),
        (2, "security-group", "rule", "add", "inner", "--egress"),  # there is one already
        (2, "security-group", "create", "inner"),
        (3, "security-group", "rule", "add", "nowhere"),
        (3, "security-group", "rule", "remove", "inner", "999999"),
        (4, "security-group", "delete", "inner"),
        (2, "port", "set", name, mac, "--address", "10.0.0.0/24"),
        (3, "port", "set", name, mac, "--group", "nowhere"),
        (3, "port", "set", name, UNKNOWN_MAC, "--group", "inner"),
        (3, "port", "unset", name, UNKNOWN_MAC),
    ):
        refused = lab.limosa(*words, check=False)
        assert (refused.returncode, refused.stdout) == (code, ""), (words, refused.stderr)
        assert refused.stderr.strip(), words

    assert (declared(lab), ruleset(lab, "compute1")) == before


def declared(lab: Lab) -> tuple[str, str]:
    listed = (("security-group", "list"), ("port", "list"))
    groups, ports = (lab.limosa(*words, "-f", "json").stdout for words in listed)
    return groups, ports


def wait_until_current(lab: Lab, name: str) -> str:
    """What is in force on its host, once that is what is declared."""
    shown: dict[str, object] = {}

    def is_current() -> bool:
        shown.update(json.loads(lab.limosa("firewall", "show", name, "-f", "json").stdout))
        return bool(shown["is_current"])

    observer.wait_until(is_current, what=f"the rules of {name} are in force", timeout_s=30)
    return json.dumps(shown["ports"])
