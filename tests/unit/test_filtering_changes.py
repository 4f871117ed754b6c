"""Random lives of groups, interfaces and guests: what is told of a guest is what is declared, and no change goes untold."""

import shutil
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.context import Context
from common.errors import LimosaError
from common.facts import InterfaceFacts
from common.firewall_views import PortRequest, RuleRequest, SecurityGroupRequest
from common.identity import Kind, Principal
from common.states import Direction
from common.transfer import Filtering
from conductor import refreshing
from conductor.db import filtering
from conductor.db.engine import Database
from conductor.guest_ports import GuestPorts
from conductor.security_groups import SecurityGroups
from conductor.settling import take_over_guests
from tests.fakes.agent import guest_facts, report_of

GUESTS = tuple(f"{number}f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f" for number in (1, 2, 3))
HOSTS = ("compute1", "compute2")
GROUPS = ("a", "b", "c")
MACS = {uuid: f"52:54:00:00:00:0{uuid[0]}" for uuid in GUESTS}

guests, hosts, groups = st.sampled_from(GUESTS), st.sampled_from(HOSTS), st.sampled_from(GROUPS)
changes = st.one_of(
    st.tuples(st.just("rule"), groups, st.sampled_from((80, 443)), st.none() | groups),
    st.tuples(st.just("unrule"), groups, st.integers(min_value=0, max_value=4)),
    st.tuples(st.just("groups"), guests, st.sets(groups)),
    st.tuples(st.just("addresses"), guests, st.sets(st.integers(min_value=1, max_value=4), max_size=2)),
    st.tuples(st.just("unset"), guests),
    st.tuples(st.just("comes"), guests, hosts),
    st.tuples(st.just("goes"), guests),
)


class World:
    """The database, its writers, and hosts that keep what they were told the way agents do."""

    def __init__(self, path):
        self.database = Database(f"sqlite:///{path}")
        self.groups = SecurityGroups(self.database, self)
        self.ports = GuestPorts(self.database, self)
        self.where = {}
        self.requests = 0
        self.told = {host: {} for host in HOSTS}  # by host and guest
        for group in GROUPS:
            self.groups.create(SecurityGroupRequest(name=group), asked=self.asked())
        for number, (uuid, group) in enumerate(zip(GUESTS, GROUPS, strict=True)):
            self.comes(uuid, HOSTS[number % len(HOSTS)])
            self.rule(
                group, 22, GROUPS[number - 1]
            )  # each lets another one in, so that most changes concern two
            self.declare(uuid, groups=(group,), addresses=(f"10.0.0.{number + 1}",))

    def asked(self):
        self.requests += 1
        return Context(
            request_id=f"req-{self.requests}",
            signer=Principal(kind=Kind.ADMINISTRATOR, name="ann"),
            sent_at=0.0,
        )

    def refresh_filtering(self, names):
        """Each host that is told to ask does; one that was not knows what it knew."""
        for host in names:
            with self.database.reading() as session:
                uuids = filtering.on_host(session, host, after="", limit=10)
                found = filtering.read(session, uuids)
            for uuid, newest in found.items():
                kept = self.told[host].get(uuid, Filtering())
                if newest.revision == kept.revision:
                    assert newest == kept, "one revision stands for one set of rules"
                if newest.revision > kept.revision:
                    self.told[host][uuid] = newest

    def comes(self, uuid, host):
        before, self.where[uuid] = self.where.get(uuid), host
        for reporter in dict.fromkeys((before, host)):
            if reporter is not None:
                self.report(reporter)

    def goes(self, uuid):
        host = self.where.pop(uuid, None)
        if host is not None:
            self.report(host)

    def report(self, host):
        self.requests += 1
        here = [
            guest_facts(uuid, uuid[:1], interfaces=(InterfaceFacts(mac=MACS[uuid], type="bridge"),))
            for uuid, where in self.where.items()
            if where == host
        ]
        told = report_of(host, *here, sequence=self.requests)

        def take_over(session):
            return refreshing.hosts_by_sightings(session, take_over_guests(session, told))

        self.refresh_filtering(self.database.transact(take_over))

    def rule(self, group, port, remote_group):
        request = RuleRequest(
            group=group,
            direction=Direction.INGRESS,
            protocol="tcp",
            port_min=port,
            port_max=port,
            remote_group=remote_group,
        )
        self.groups.add_rule(request, asked=self.asked())

    def unrule(self, group, position):
        rules = self.groups.show(group).rules
        if position < len(rules):
            self.groups.remove_rule(group, rules[position].id)

    def declare(self, uuid, **given):
        self.ports.declare(PortRequest(instance=uuid, mac=MACS[uuid], **given))

    def change(self, what, *arguments):
        match what:
            case "groups":
                self.declare(arguments[0], groups=tuple(arguments[1]))
            case "addresses":
                self.declare(arguments[0], addresses=tuple(f"10.0.0.{number}" for number in arguments[1]))
            case "unset":
                self.ports.forget(arguments[0], MACS[arguments[0]])
            case _:
                getattr(self, what)(*arguments)

    def declared(self, uuid):
        with self.database.reading() as session:
            return filtering.read(session, [uuid]).get(uuid, Filtering())


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A database that is made once: its schema takes longer than all that is done with it."""
    path = tmp_path_factory.mktemp("template") / "limosa.sqlite"
    Database(f"sqlite:///{path}").close()
    return path


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(changes, min_size=1, max_size=20))
def test_every_host_knows_at_once_what_is_declared_of_its_guests(template, tmp_path_factory, life):
    path = tmp_path_factory.mktemp("life") / "limosa.sqlite"
    shutil.copy(template, path)
    world = World(path)
    try:
        for change in life:
            with suppress(LimosaError):  # a rule that is there, a guest that is gone: nothing has changed
                world.change(*change)
            for uuid, host in world.where.items():
                kept, declared = world.told[host].get(uuid, Filtering()), world.declared(uuid)
                assert kept.ports == declared.ports, (change, uuid, host)
    finally:
        world.database.close()
