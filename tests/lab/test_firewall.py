"""A guest with a security group that moves: its rules are there before it, and its connections go on."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from lab import network
from lab.faults import Victim
from lab.guest import registry
from lab.lab import Lab
from lab.prober import GUEST_PORT, OTHER_PORT
from tests.lab import observer

HOSTS = ("compute1", "compute2")
SYSCTL = "net.bridge.bridge-nf-call-iptables"


@pytest.fixture(scope="module")
def filtering(lab: Lab) -> Iterator[None]:
    """Both hosts can filter, and take no connection for known that they were not told of."""
    set_bridge_netfilter(lab, HOSTS, is_on=True)
    with agents_with(lab, "firewall.require_syn", "true", usual="false"):
        yield
    set_bridge_netfilter(lab, HOSTS, is_on=False)


@pytest.fixture
def guest(lab: Lab, filtering: None) -> Iterator[tuple[str, str]]:
    """A guest on compute1 that takes one port's packets and no others: its name and boot id."""
    with a_guarded_guest(lab, "guarded") as boot_id:
        yield "guarded", boot_id


@contextmanager
def a_guarded_guest(lab: Lab, name: str) -> Iterator[str]:
    first = lab.guest_create(name, "compute1")
    observer.wait_until_found(lab, name)
    lab.limosa("security-group", "create", "web")
    for protocol in ("udp", "tcp"):
        rule = ("--ingress", "--protocol", protocol, "--port", str(GUEST_PORT))
        lab.limosa("security-group", "rule", "add", "web", *rule)
    allow_answers_only(lab, "web")
    here = registry.get(name, paths=lab.paths)
    mac = network.guest_mac(here.number)
    lab.limosa("port", "set", name, mac, "--address", here.address, "--group", "web")
    wait_until_filtered(lab, name, "compute1")
    yield first.boot_id
    lab.limosa("port", "unset", name, mac)
    observer.wait_until(lambda: not any(is_filtering(lab, host) for host in HOSTS), what="nobody is filtered")
    lab.guest_delete(name)
    lab.limosa("security-group", "delete", "web")


def test_nothing_denied_is_answered_and_what_was_connected_stays_so(lab: Lab, guest: tuple[str, str]) -> None:
    name, boot_id = guest
    with (
        lab.connection(name, port=GUEST_PORT) as connection,
        lab.probes(name, port=GUEST_PORT) as allowed,
        lab.probes(name, port=OTHER_PORT) as denied,
    ):
        for dest in ("compute2", "compute1", "compute2"):
            assert observer.migrate(lab, name, dest)["status"] == "completed"

    assert denied.report.lost == denied.report.sent > 0
    assert allowed.report.boot_ids == (boot_id,)
    assert allowed.report.duplicates == 0
    assert connection.report.has_survived, connection.report

    assert ruleset(lab, "compute1") == ""
    assert "lm" in ruleset(lab, "compute2")
    shown = json.loads(lab.limosa("firewall", "show", name, "-f", "json").stdout)
    assert f"udp dport {GUEST_PORT} accept" in json.dumps(shown)
    observer.assert_one_guest(lab, name, host="compute2", boot_id=boot_id)


def test_a_migration_that_is_aborted_leaves_neither_rules_nor_connections(
    lab: Lab, guest: tuple[str, str]
) -> None:
    name, boot_id = guest
    address = registry.get(name, paths=lab.paths).address
    lab.exec("compute2", ["conntrack", "--flush"])  # a guest before this one had the same address there
    with (
        agents_with(lab, "libvirt.live_migration_bandwidth", "4", usual="0", hosts=HOSTS[:1]),
        lab.connection(name, port=GUEST_PORT) as connection,
    ):
        migration = observer.start_migration(lab, name, "compute2")
        observer.wait_until(lambda: f"dst={address}" in tracked(lab, "compute2"), what="the dest is told")
        assert "table bridge limosa" in ruleset(lab, "compute2")

        lab.limosa("migration", "abort", migration)
        assert observer.wait_until_final(lab, migration) == "cancelled"

        assert (ruleset(lab, "compute2"), address in tracked(lab, "compute2")) == ("", False)
    assert connection.report.has_survived, connection.report
    observer.assert_one_guest(lab, name, host="compute1", boot_id=boot_id)


def test_an_agent_that_is_killed_or_restarted_leaves_the_rules_as_they_are(
    lab: Lab, guest: tuple[str, str]
) -> None:
    name, _ = guest
    before = tables(lab, "compute1")
    assert len(before) == 2

    for end in (lab.kill, lab.stop):
        end(Victim.AGENT, host_name="compute1")
        assert tables(lab, "compute1") == before
        lab.start(Victim.AGENT, host_name="compute1")
        lab.wait_until_agents_are_up("compute1")

    wait_until_filtered(lab, name, "compute1")
    assert tables(lab, "compute1") == before


def test_a_host_whose_bridges_do_not_ask_the_firewall_is_refused(lab: Lab, guest: tuple[str, str]) -> None:
    name, boot_id = guest
    set_bridge_netfilter(lab, ("compute2",), is_on=False)
    try:
        refused = lab.limosa("live-migration", name, "compute2", check=False)
    finally:
        set_bridge_netfilter(lab, ("compute2",), is_on=True)

    assert (refused.returncode, "bridge-nf-call-iptables" in refused.stderr) == (4, True), refused.stderr
    assert ruleset(lab, "compute2") == ""
    observer.assert_one_guest(lab, name, host="compute1", boot_id=boot_id)


def test_a_guest_without_a_group_meets_no_rule_on_either_host(lab: Lab, guest_name: str) -> None:
    lab.guest_create(guest_name, "compute1")
    observer.wait_until_found(lab, guest_name)

    with lab.probes(guest_name, port=OTHER_PORT) as probes:
        assert observer.migrate(lab, guest_name, "compute2")["status"] == "completed"
        assert [ruleset(lab, host) for host in HOSTS] == ["", ""]

    assert probes.report.lost < probes.report.sent
    assert "vnet" in lab.virsh("compute2", "domiflist", guest_name)


def test_libvirts_filters_do_the_same(lab: Lab, filtering: None) -> None:
    name = "filtered"
    with (
        agents_with(lab, "firewall.driver", "nwfilter", usual="nftables"),
        a_guarded_guest(lab, name) as boot_id,
    ):
        with (
            lab.connection(name, port=GUEST_PORT) as connection,
            lab.probes(name, port=OTHER_PORT) as denied,
        ):
            assert observer.migrate(lab, name, "compute2")["status"] == "completed"

        assert denied.report.lost == denied.report.sent > 0
        assert connection.report.has_survived, connection.report
        assert filters(lab, "compute1") == []
        assert len(filters(lab, "compute2")) == 1
        observer.assert_one_guest(lab, name, host="compute2", boot_id=boot_id)


def filters(lab: Lab, host: str) -> list[str]:
    return [line for line in lab.virsh(host, "nwfilter-list").splitlines() if "limosa-" in line]


def allow_answers_only(lab: Lab, group: str) -> None:
    """Take away what every group begins with: no packet of the guest makes a connection known by itself."""
    shown = json.loads(lab.limosa("security-group", "show", group, "-f", "json").stdout)
    for rule in shown["rules"]:
        if rule["direction"] == "egress":
            lab.limosa("security-group", "rule", "remove", group, str(rule["id"]))


# ---- what is there


def ruleset(lab: Lab, host: str) -> str:
    """Of our tables: other tests leave empty ones of iptables and of libvirt's."""
    listed = lab.exec(host, ["nft", "list", "tables"]).stdout.splitlines()
    ours = [line.split() for line in listed if line.split()[-1] == "limosa"]
    return "".join(lab.exec(host, ["nft", "list", *table], check=False).stdout for table in ours)


def tracked(lab: Lab, host: str) -> str:
    return lab.exec(host, ["conntrack", "-L"]).stdout


def tables(lab: Lab, host: str) -> list[str]:
    """With their handles: a table that is made anew has another one."""
    listed = lab.exec(host, ["nft", "--handle", "list", "ruleset"]).stdout
    return [line for line in listed.splitlines() if line.startswith("table")]


def wait_until_filtered(lab: Lab, name: str, host: str) -> None:
    observer.wait_until(lambda: is_current(lab, name), what=f"{name} is filtered", timeout_s=20)
    assert is_filtering(lab, host)


def is_current(lab: Lab, name: str) -> bool:
    shown = json.loads(lab.limosa("firewall", "show", name, "-f", "json").stdout)
    return bool(shown["is_current"] and shown["revision"])


def is_filtering(lab: Lab, host: str) -> bool:
    return "table bridge limosa" in ruleset(lab, host) or filters(lab, host) != []


def set_bridge_netfilter(lab: Lab, hosts: Sequence[str], *, is_on: bool) -> None:
    for host in hosts:
        lab.exec(host, ["sysctl", "-q", "-w", f"{SYSCTL}={int(is_on)}"])


@contextmanager
def agents_with(
    lab: Lab, option: str, value: str, *, usual: str, hosts: Sequence[str] = HOSTS
) -> Iterator[None]:
    """The agents run with another value of this option inside the block."""

    def restart_with(text: str) -> None:
        for host in hosts:
            lab.write_config(host, {option: text})
            lab.stop(Victim.AGENT, host_name=host)
            lab.start(Victim.AGENT, host_name=host)
        lab.wait_until_agents_are_up()

    restart_with(value)
    try:
        yield
    finally:
        restart_with(usual)
