"""The firewall on the bus: what administrators declare, what agents are told and when, and what a host is asked for.

Each test waits for the last question of each agent: one that is asked while the conductor stops is waited for long.
"""

from dataclasses import replace

import pytest

from common.conductor_api import ConductorAPI
from common.connections import Connection, ConnectionBatch
from common.errors import (
    HostNotFoundError,
    HostSilentError,
    NotPermittedError,
    RuleExistsError,
    SecurityGroupInUseError,
)
from common.facts import InterfaceFacts
from common.firewall_views import PortFilter, PortRequest, RuleRequest, SecurityGroupRequest
from common.states import AuditResult, Direction, Phase, Verb
from common.views import AuditFilter
from conductor import firewall_lookup
from tests.fakes import identities
from tests.fakes.agent import guest_facts
from tests.fakes.cluster import GUEST, Cluster

OTHER = "2f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f"
CONNECTION = Connection(
    protocol="udp", source="192.0.2.1", destination="198.51.100.7", source_port=5000, destination_port=53
)
MAC, OTHER_MAC = "52:54:00:00:00:01", "52:54:00:00:00:02"


@pytest.fixture
def cluster(tmp_path):
    """web1 on compute1 has an interface."""
    cluster = Cluster(tmp_path)
    has_interface(cluster, cluster.source, GUEST, "web1", MAC)
    yield cluster
    cluster.stop()


def has_interface(cluster, agent, uuid, name, mac):
    agent.guests[uuid] = guest_facts(uuid, name, interfaces=(InterfaceFacts(mac=mac, type="bridge"),))
    agent.report()
    cluster.until(lambda: any(view.mac == mac for view in cluster.api.list_ports(PortFilter())))


def filtered(cluster):
    """web1 is in a group, and has an address."""
    cluster.api.create_security_group(SecurityGroupRequest(name="web"))
    cluster.api.set_port(PortRequest(instance="web1", mac=MAC, addresses=("10.0.0.1",), groups=("web",)))
    cluster.source.wait_for(lambda agent: agent.filterings_asked == 1)


def allow(cluster, **changes):
    request = RuleRequest(**{"group": "web", "direction": Direction.INGRESS, "protocol": "tcp", **changes})
    return cluster.api.add_security_group_rule(request)


def revisions(agent):
    return {known.instance: known.filtering.revision for known in agent.filtering}


# ---- administrators


def test_what_is_declared_is_shown_refused_and_audited(cluster):
    filtered(cluster)
    rule = allow(cluster, port_min=80, port_max=80)

    with pytest.raises(RuleExistsError):
        allow(cluster, port_min=80, port_max=80)
    with pytest.raises(SecurityGroupInUseError):
        cluster.api.delete_security_group("web")
    (group,) = cluster.api.list_security_groups()
    (port,) = cluster.api.list_ports(PortFilter(group="web"))
    assert cluster.api.show_security_group("web") == group
    assert group.rules[-1] == rule
    assert (port.instance_name, port.host, port.mac, port.is_present) == ("web1", "compute1", MAC, True)

    audited = [(line.method, line.result) for line in cluster.api.list_audit(AuditFilter())]
    assert audited == [
        ("delete_security_group", AuditResult.FAILED),
        ("add_security_group_rule", AuditResult.FAILED),
        ("add_security_group_rule", AuditResult.DONE),
        ("set_port", AuditResult.DONE),
        ("create_security_group", AuditResult.DONE),
    ]
    targets = [line.target for line in cluster.api.list_audit(AuditFilter())]
    assert targets[2] == "group=web direction=ingress protocol=tcp port_min=80 port_max=80"
    assert targets[3] == f"instance=web1 mac={MAC} addresses=10.0.0.1 groups=web"

    cluster.api.remove_security_group_rule("web", rule.id)
    cluster.api.unset_port("web1", MAC)
    cluster.api.delete_security_group("web")
    assert cluster.api.list_security_groups() == ()
    cluster.source.wait_for(lambda agent: agent.filterings_asked == 4)


# ---- agents


def test_the_host_of_a_guest_asks_when_a_rule_changes_and_others_do_not(cluster):
    filtered(cluster)
    before = revisions(cluster.source)

    allow(cluster, port_min=80, port_max=80)

    cluster.source.wait_for(lambda agent: agent.filterings_asked == 2)
    assert revisions(cluster.source)[GUEST] > before[GUEST]
    (known,) = cluster.source.filtering
    (port,) = known.filtering.ports
    assert (port.mac, port.groups, port.addresses) == (MAC, ("web",), ("10.0.0.1",))
    assert [(rule.protocol, rule.port_min) for rule in port.rules if rule.direction == "ingress"] == [
        ("tcp", 80)
    ]
    assert cluster.dest.filterings_asked == 0


def test_a_host_asks_for_itself_only(cluster):
    agent = ConductorAPI(cluster.bus(identities.host("compute2")))
    with pytest.raises(NotPermittedError, match="speak for compute1"):
        agent.filtering_of_host("compute1")
    assert agent.filtering_of_host("compute2") == ()


@pytest.mark.parametrize(("bound", "most"), [("GUESTS_PER_ANSWER", 1), ("REMOTES_PER_ANSWER", 1)])
def test_many_guests_come_in_several_answers(cluster, monkeypatch, bound, most):
    monkeypatch.setattr(firewall_lookup, bound, most)
    has_interface(cluster, cluster.source, OTHER, "web2", OTHER_MAC)
    filtered(cluster)
    allow(cluster, remote="10.0.0.0/8")
    cluster.api.set_port(PortRequest(instance="web2", mac=OTHER_MAC, groups=("web",)))

    cluster.source.wait_for(lambda agent: agent.filterings_asked == 3)
    assert sorted(revisions(cluster.source)) == [GUEST, OTHER]


def test_a_migration_brings_the_rules_along_and_changes_reach_its_dest(cluster):
    filtered(cluster)
    cluster.source.silence(Verb.CHECK_SOURCE)

    view = cluster.migrate()

    cluster.dest.wait_for(lambda agent: agent.filterings_asked == 1 and agent.commands != [])
    declared = cluster.dest.commands[0].arguments.declared
    assert declared.filtering == cluster.source.filtering[0].filtering
    assert revisions(cluster.dest) == revisions(cluster.source)

    allow(cluster, port_min=80, port_max=80)
    cluster.dest.wait_for(lambda agent: agent.filterings_asked == 2)
    cluster.source.wait_for(lambda agent: agent.filterings_asked == 2)
    assert revisions(cluster.dest)[GUEST] > declared.filtering.revision

    cluster.source.forget_script()
    cluster.sweep(resend_s=0.0)
    cluster.end_of(view)
    # When the guest belongs to the dest, both ask once more.
    cluster.dest.wait_for(lambda agent: agent.filterings_asked == 3)
    cluster.source.wait_for(lambda agent: agent.filterings_asked == 3)


def test_the_next_candidate_is_told_as_well(cluster):
    cluster.add_host("compute3")
    filtered(cluster)
    refusing = cluster.agents["compute2"]
    refusing.script(Verb.CHECK_DEST, lambda command: None)

    view = cluster.migrate(dest=None)
    refusing.wait_for(lambda agent: agent.filterings_asked == 1)
    cluster.sweep(timeout_s=0.0)

    cluster.agents["compute3"].wait_for(lambda agent: agent.filterings_asked >= 1)
    cluster.end_of(view)
    for host in ("compute1", "compute3"):  # and both, when the guest belongs to the dest
        cluster.agents[host].wait_for(lambda agent: agent.filterings_asked == 2)


def test_a_guest_that_nobody_filters_costs_its_migration_no_message(cluster):
    cluster.end_of(cluster.migrate())

    assert cluster.messages_sent()["refresh_filtering"] == 0
    assert cluster.dest.commands[0].arguments.declared.filtering.revision == 0


def test_addresses_are_told_with_a_migration_of_a_guest_that_nobody_filters_too(cluster):
    cluster.api.set_port(PortRequest(instance="web1", mac=MAC, addresses=("10.0.0.1",)))

    cluster.end_of(cluster.migrate())

    declared = cluster.dest.commands[0].arguments.declared
    assert (declared.addresses, declared.filtering.ports) == (((MAC, ("10.0.0.1",)),), ())


def test_a_guest_that_moved_by_hand_has_its_new_host_ask(cluster):
    filtered(cluster)

    cluster.dest.guests[GUEST] = cluster.source.guests.pop(GUEST)
    cluster.source.report()
    cluster.dest.report()

    cluster.dest.wait_for(lambda agent: GUEST in revisions(agent))


# ---- what is in force


def test_what_is_in_force_is_asked_of_the_host_and_compared_with_what_is_declared(cluster):
    assert cluster.api.show_firewall("web1").is_current, "nothing is declared, and nothing stands"

    filtered(cluster)
    shown = cluster.api.show_firewall("web1")
    assert (shown.host, shown.driver, shown.is_current) == ("compute1", "nftables", True)
    assert shown.revision == shown.declared_revision

    elsewhere = cluster.api.show_firewall("web1", host="compute2")
    assert (elsewhere.host, elsewhere.revision, elsewhere.is_current) == ("compute2", None, False)

    with pytest.raises(HostNotFoundError):
        cluster.api.show_firewall("web1", host="compute9")


def test_a_host_that_does_not_answer_is_named(cluster, monkeypatch):
    monkeypatch.setattr(firewall_lookup, "SHOW_TIMEOUT_S", 0.2)
    with (
        cluster.source.hanging(),
        pytest.raises(HostSilentError, match=r"compute1 has not answered within 0\.2 s"),
    ):
        cluster.api.show_firewall("web1")


# ---- connections that move with a guest


def test_what_a_source_tells_goes_to_its_dest_while_the_migration_is_open(cluster):
    cluster.source.silence(Verb.LIVE)
    view = cluster.watch(cluster.migrate(), lambda view: view.phase is Phase.LIVE)
    batch = ConnectionBatch(host="compute1", instance=GUEST, migration=view.id, connections=(CONNECTION,))

    cluster.source.conductor.relay_connections(batch)
    cluster.dest.wait_for(lambda agent: agent.connections_taken == [batch])

    cluster.dest.conductor.relay_connections(batch)  # it may not speak for another host
    cluster.dest.conductor.relay_connections(replace(batch, host="compute2"))  # and is no source of it
    cluster.source.conductor.relay_connections(replace(batch, instance=OTHER))
    cluster.source.conductor.relay_connections(batch)
    cluster.dest.wait_for(lambda agent: len(agent.connections_taken) == 2)
    assert cluster.source.connections_taken == []
    assert "192.0.2.1" not in cluster.story(view.id)
