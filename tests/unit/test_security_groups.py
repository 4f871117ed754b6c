"""Groups, rules and interfaces in the database: what is refused, who is concerned by a change, which hosts hear of it."""

import pytest

from common.context import Context
from common.errors import (
    InstanceNotFoundError,
    InvalidRequestError,
    PortNotDeclaredError,
    PortNotFoundError,
    RuleExistsError,
    RuleNotFoundError,
    SecurityGroupExistsError,
    SecurityGroupInUseError,
    SecurityGroupNotFoundError,
)
from common.facts import InterfaceFacts
from common.firewall_views import PortFilter, PortRequest, RuleRequest, SecurityGroupRequest
from common.identity import Kind, Principal
from common.states import Direction, PowerState
from common.transfer import FilterRule
from conductor import guest_ports, refreshing, security_groups
from conductor.db import filtering
from conductor.db.engine import Database
from conductor.guest_ports import GuestPorts
from conductor.security_groups import SecurityGroups
from conductor.settling import take_over_guests
from tests.fakes.agent import guest_facts, report_of

WEB1, WEB2, DB1 = (f"{number}f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f" for number in (1, 2, 3))
HOSTS = {WEB1: "compute1", WEB2: "compute2", DB1: "compute3"}
NAMES = {WEB1: "web1", WEB2: "web2", DB1: "db1"}
EXTRA = "52:54:00:00:00:99"


def mac(uuid):
    return f"52:54:00:00:00:0{uuid[0]}"


def facts(uuid, **changes):
    interfaces = (InterfaceFacts(mac=mac(uuid), type="bridge"), InterfaceFacts(mac=EXTRA, type="bridge"))
    return guest_facts(uuid, NAMES[uuid], interfaces=interfaces, **changes)


class Heard:
    """Stands for the sender: which hosts are to ask, by change."""

    def __init__(self):
        self.hosts = []

    def refresh_filtering(self, hosts):
        self.hosts.append(sorted(hosts))


class Site:
    """Three guests, each on a host of its own."""

    def __init__(self, directory):
        self.database = Database(f"sqlite:///{directory}/limosa.sqlite")
        self.heard = Heard()
        self.groups = SecurityGroups(self.database, self.heard)
        self.ports = GuestPorts(self.database, self.heard)
        self.requests = 0
        self.sequence = 0
        for uuid, host in HOSTS.items():
            self.report(host, facts(uuid))

    def report(self, host, *guests):
        """What the inventory does with a full report; the hosts that are to ask."""
        self.sequence += 1

        def take_over(session):
            events = take_over_guests(session, report_of(host, *guests, sequence=self.sequence))
            return refreshing.hosts_by_sightings(session, events)

        return self.database.transact(take_over)

    def asked(self, request_id=None):
        self.requests += 1
        return Context(
            request_id=request_id or f"req-{self.requests}",
            sent_at=0.0,
            signer=Principal(kind=Kind.ADMINISTRATOR, name="ann"),
        )

    def group(self, *names):
        for name in names:
            self.groups.create(SecurityGroupRequest(name=name), asked=self.asked())

    def rule(self, group, request_id=None, **changes):
        request = RuleRequest(**{"group": group, "direction": Direction.INGRESS, **changes})
        return self.groups.add_rule(request, asked=self.asked(request_id))

    def port(self, uuid, **changes):
        return self.ports.declare(PortRequest(instance=uuid, mac=mac(uuid), **changes))

    def filtering(self, uuid):
        with self.database.reading() as session:
            return filtering.read(session, [uuid]).get(uuid)

    def rules(self, uuid):
        """Its ingress rules."""
        (port,) = self.filtering(uuid).ports
        return [rule for rule in port.rules if rule.direction == "ingress"]

    def revision(self, uuid):
        found = self.filtering(uuid)
        return 0 if found is None else found.revision


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.database.close()


@pytest.fixture
def served(site):
    """The web servers may reach the database, and who else is in the group `web`."""
    site.group("web", "db")
    site.rule("db", protocol="tcp", port_min=5432, port_max=5432, remote_group="web")
    site.port(DB1, groups=("db",))
    site.port(WEB1, groups=("web",), addresses=("10.0.0.1",))
    site.heard.hosts.clear()
    return site


def reaching_db(*remotes):
    return [
        FilterRule(
            direction="ingress", family=4, protocol="tcp", port_min=5432, port_max=5432, remotes=remotes
        )
    ]


# ---- groups


def test_a_new_group_begins_with_two_rules_that_let_all_out(site):
    site.group("web")
    view = site.groups.show("web")
    assert [(rule.direction, rule.family, rule.protocol) for rule in view.rules] == [
        (Direction.EGRESS, 4, "any"),
        (Direction.EGRESS, 6, "any"),
    ]
    assert (view.created_by, view.members) == ("ann", 0)
    assert site.groups.list() == (view,)


def test_a_group_is_made_once_and_a_repeated_request_finds_it(site):
    asked, request = site.asked(), SecurityGroupRequest(name="web")
    made = site.groups.create(request, asked=asked)
    assert site.groups.create(request, asked=asked) == made
    with pytest.raises(SecurityGroupExistsError):
        site.groups.create(request, asked=site.asked())


@pytest.mark.parametrize("name", ["", "two words", "a\nb", "x" * 256, "-web", "wéb"])
def test_a_name_that_no_group_can_have_is_refused(site, name):
    with pytest.raises(InvalidRequestError, match="cannot be the name of a group"):
        site.groups.create(SecurityGroupRequest(name=name), asked=site.asked())


@pytest.mark.parametrize("description", ["two\nlines", "\x1b[2J", "x" * 256])
def test_a_description_is_one_readable_line(site, description):
    with pytest.raises(InvalidRequestError, match="one line"):
        site.groups.create(SecurityGroupRequest(name="web", description=description), asked=site.asked())


def test_groups_and_rules_are_bounded(site, monkeypatch):
    monkeypatch.setattr(security_groups, "GROUPS_MAX", 1)
    monkeypatch.setattr(security_groups, "RULES_MAX", 3)
    site.group("web")
    site.rule("web")
    with pytest.raises(InvalidRequestError, match="can have no more"):
        site.rule("web", protocol="tcp")
    with pytest.raises(InvalidRequestError, match="can be no more"):
        site.group("db")
    monkeypatch.setattr(security_groups, "RULES_MAX", 9)
    monkeypatch.setattr(security_groups, "ALL_RULES_MAX", 3)
    with pytest.raises(InvalidRequestError, match="All groups have 3 rules"):
        site.rule("web", protocol="tcp")


def test_a_group_in_use_cannot_be_deleted_and_says_by_whom(served):
    with pytest.raises(SecurityGroupInUseError, match=f"in use: {mac(WEB1)} of web1, rule 5 of db"):
        served.groups.delete("web")
    with pytest.raises(SecurityGroupInUseError, match=f"in use: {mac(DB1)} of db1."):
        served.groups.delete("db")
    assert {view.name for view in served.groups.list()} == {"web", "db"}


def test_a_long_list_of_users_is_cut(site, monkeypatch):
    monkeypatch.setattr(security_groups, "USERS_MAX", 1)
    site.group("web")
    for uuid in HOSTS:
        site.port(uuid, groups=("web",))
    with pytest.raises(SecurityGroupInUseError, match=f"in use: {mac(DB1)} of db1, and 2 more"):
        site.groups.delete("web")


def test_a_group_that_only_its_own_rules_name_can_go(site):
    site.group("web")
    site.rule("web", remote_group="web")
    site.groups.delete("web")
    assert site.groups.list() == ()
    with pytest.raises(SecurityGroupNotFoundError):
        site.groups.delete("web")


# ---- rules


def test_a_rule_that_is_there_in_other_words_is_refused_by_its_number(site):
    site.group("web")
    rule = site.rule("web", protocol="6", port_min=80, port_max=80, remote="10.0.0.7")
    with pytest.raises(RuleExistsError, match=f"rule {rule.id}"):
        site.rule("web", protocol="tcp", port_min=80, port_max=80, remote="10.0.0.7/32")
    with pytest.raises(RuleExistsError):
        site.rule("web", direction=Direction.EGRESS, remote="0.0.0.0/0")
    assert len(site.groups.show("web").rules) == 3


def test_a_repeated_request_adds_its_rule_once(site):
    site.group("web")
    assert site.rule("web", request_id="once") == site.rule("web", request_id="once")
    assert len(site.groups.show("web").rules) == 3


def test_a_rule_of_or_about_an_unknown_group_is_refused(site):
    site.group("web")
    with pytest.raises(SecurityGroupNotFoundError, match="no security group mail"):
        site.rule("mail")
    with pytest.raises(SecurityGroupNotFoundError, match="no security group mail"):
        site.rule("web", remote_group="mail")


def test_a_rule_is_removed_only_from_its_own_group(site):
    site.group("web", "db")
    rule = site.rule("web")
    with pytest.raises(RuleNotFoundError):
        site.groups.remove_rule("db", rule.id)
    assert site.groups.remove_rule("web", rule.id) == rule
    with pytest.raises(RuleNotFoundError):
        site.groups.remove_rule("web", rule.id)


@pytest.mark.parametrize("number", [0, -1, 2**63, 10**30])
def test_a_number_that_no_rule_can_have_is_a_rule_that_is_not_there(site, number):
    site.group("web")
    with pytest.raises(RuleNotFoundError):
        site.groups.remove_rule("web", number)


def test_a_change_of_rules_concerns_the_guests_in_the_group_and_nobody_else(served):
    before = {uuid: served.revision(uuid) for uuid in HOSTS}

    rule = served.rule("db", protocol="icmp")

    assert served.heard.hosts == [["compute3"]]
    assert served.revision(DB1) > before[DB1]
    assert (served.revision(WEB1), served.revision(WEB2)) == (before[WEB1], 0)
    middle = served.revision(DB1)
    served.groups.remove_rule("db", rule.id)
    assert served.revision(DB1) > middle


def test_a_group_without_any_rule_lets_nothing_pass(site):
    site.group("web")
    site.port(WEB1, groups=("web",))
    for rule in site.groups.show("web").rules:
        site.groups.remove_rule("web", rule.id)
    (port,) = site.filtering(WEB1).ports
    assert port.rules == ()


# ---- interfaces


def test_who_is_in_a_group_is_let_in_by_its_addresses(served):
    assert served.rules(DB1) == reaching_db("10.0.0.1/32")

    served.port(WEB2, groups=("web",))  # no address is known: it is in no rule
    assert served.rules(DB1) == reaching_db("10.0.0.1/32")

    served.port(WEB2, addresses=("10.0.0.2", "fd00::2"))
    assert served.rules(DB1) == reaching_db("10.0.0.1/32", "10.0.0.2/32")
    assert served.heard.hosts[-1] == ["compute2", "compute3"]

    served.port(WEB2, addresses=("10.0.0.3",))
    assert served.rules(DB1) == reaching_db("10.0.0.1/32", "10.0.0.3/32")

    served.port(WEB2, groups=())
    assert served.rules(DB1) == reaching_db("10.0.0.1/32")


def test_an_interface_without_a_group_is_not_filtered_and_nobody_hears_of_its_addresses(site):
    view = site.port(WEB1, addresses=("10.0.0.1",))
    assert (view.addresses, view.groups) == (("10.0.0.1",), ())
    assert site.filtering(WEB1) is None
    assert site.heard.hosts == [[]]


def test_a_guest_that_is_filtered_no_more_has_a_newer_revision_without_ports(served):
    before = served.revision(WEB1)
    served.port(WEB1, groups=())
    after = served.filtering(WEB1)
    assert after.revision > before
    assert after.ports == ()
    assert served.heard.hosts == [["compute1", "compute3"]]


def test_what_changes_nothing_concerns_nobody(served):
    before = served.revision(WEB1)
    served.port(WEB1, groups=("web", "web"), addresses=("10.0.0.1", "10.0.0.1"))
    assert served.revision(WEB1) == before
    assert served.heard.hosts == [[]]


def test_macs_and_addresses_are_kept_in_one_spelling(site):
    site.group("web")
    request = PortRequest(
        instance="web1", mac=mac(WEB1).upper(), addresses=("FD00:0::1", "fd00::1"), groups=("web",)
    )
    assert site.ports.declare(request).addresses == ("fd00::1",)
    assert [port.mac for port in site.filtering(WEB1).ports] == [mac(WEB1)]


def test_an_unknown_mac_is_refused_with_those_that_the_guest_has(site):
    with pytest.raises(
        PortNotFoundError, match=f"web1 has no interface {mac(WEB2)}; it has: {mac(WEB1)}, {EXTRA}"
    ):
        site.ports.declare(PortRequest(instance="web1", mac=mac(WEB2), addresses=()))
    with pytest.raises(InstanceNotFoundError):
        site.ports.declare(PortRequest(instance="web9", mac=mac(WEB1), addresses=()))


def test_an_unknown_group_is_refused_and_changes_nothing(served):
    with pytest.raises(SecurityGroupNotFoundError):
        served.port(WEB1, groups=("web", "mail"), addresses=())
    (port, _other) = served.ports.list(PortFilter(instance="web1"))
    assert (port.groups, port.addresses) == (("web",), ("10.0.0.1",))


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("10.0.0.0/24", "10.0.0.0/24 is not an address of an interface."),
        ("web1", "web1 is not an address"),
        ("", "is not an address"),
        ("fe80::1%eth0", "is not an address"),
        ("0.0.0.0", "No interface can have the address 0.0.0.0."),
        ("::1", "No interface can have"),
        ("127.0.0.1", "No interface can have"),
        ("224.0.0.1", "No interface can have"),
        ("255.255.255.255", "No interface can have"),
        ("::ffff:10.0.0.1", "write it as 10.0.0.1"),
    ],
)
def test_what_is_no_address_of_an_interface_is_refused(site, address, sentence):
    with pytest.raises(InvalidRequestError) as caught:
        site.port(WEB1, addresses=(address,))
    assert sentence in str(caught.value)


def test_addresses_and_groups_are_bounded_and_one_of_both_is_given(site, monkeypatch):
    monkeypatch.setattr(guest_ports, "ADDRESSES_MAX", 1)
    monkeypatch.setattr(guest_ports, "GROUPS_MAX", 1)
    for changes in ({}, {"addresses": ("10.0.0.1", "10.0.0.2")}, {"groups": ("a", "b")}):
        with pytest.raises(InvalidRequestError):
            site.port(WEB1, **changes)


def test_interfaces_are_listed_with_what_is_declared(served):
    every = served.ports.list(PortFilter())
    assert [(view.instance_name, view.mac, view.groups) for view in every] == [
        ("db1", mac(DB1), ("db",)),
        ("db1", EXTRA, ()),
        ("web1", mac(WEB1), ("web",)),
        ("web1", EXTRA, ()),
        ("web2", mac(WEB2), ()),
        ("web2", EXTRA, ()),
    ]
    assert [view.instance_name for view in served.ports.list(PortFilter(group="web"))] == ["web1"]
    assert [view.mac for view in served.ports.list(PortFilter(instance=WEB2))] == [mac(WEB2), EXTRA]
    with pytest.raises(SecurityGroupNotFoundError):
        served.ports.list(PortFilter(group="mail"))


# ---- guests that come and go


def test_a_guest_that_is_gone_is_let_in_no_more_and_returns_with_all_that_was_declared(served):
    before = served.revision(DB1)

    assert served.report("compute1") == {"compute3"}  # web1 is gone

    assert served.rules(DB1) == []
    assert served.revision(DB1) > before
    gone = served.ports.list(PortFilter(instance="web1"))
    assert [(view.mac, view.is_present, view.groups) for view in gone] == [(mac(WEB1), False, ("web",))]
    with pytest.raises(InstanceNotFoundError):
        served.port(WEB1, addresses=())

    assert served.report("compute1", facts(WEB1)) == {"compute1", "compute3"}
    assert served.rules(DB1) == reaching_db("10.0.0.1/32")


def test_what_is_declared_of_a_guest_that_is_gone_can_be_forgotten(served):
    served.report("compute1")

    served.ports.forget("web1", mac(WEB1))

    assert served.ports.list(PortFilter(group="web")) == ()
    with pytest.raises(PortNotDeclaredError):
        served.ports.forget("web1", mac(WEB1))
    served.report("compute1", facts(WEB1))
    assert served.filtering(WEB1).ports == ()


def test_a_guest_that_moved_by_hand_is_followed_by_its_rules(served):
    assert served.report("compute2", facts(WEB2), facts(WEB1)) == {"compute1", "compute2"}  # on both, for now
    assert served.report("compute1") == {"compute2"}


def test_reports_of_guests_that_nobody_filters_concern_no_host(site):
    assert site.report("compute1") == set()
    assert site.report("compute1", facts(WEB1, power_state=PowerState.SHUTOFF)) == set()


def test_a_guest_in_another_state_is_no_news(served):
    assert served.report("compute1", facts(WEB1, power_state=PowerState.SHUTOFF)) == set()


# ---- revisions


def test_a_database_that_is_made_anew_is_not_behind_what_hosts_were_told(served, tmp_path):
    (tmp_path / "other").mkdir()
    other = Site(tmp_path / "other")
    other.group("web")
    other.port(WEB1, groups=("web",))
    assert other.revision(WEB1) >= served.revision(WEB1)
    other.database.close()


def test_revisions_grow_however_fast_changes_come(served):
    seen = []
    for number in range(20):
        served.port(WEB1, addresses=(f"10.0.0.{number + 1}",) if number else ())
        seen.append(served.revision(DB1))
    assert seen == sorted(set(seen))


# ---- what a host is to know


def on_host(site, host, **bounds):
    with site.database.reading() as session:
        return filtering.on_host(session, host, **{"after": "", "limit": 10, **bounds})


def test_a_host_knows_the_rules_of_its_own_guests_a_page_at_a_time(served):
    served.report("compute1", facts(WEB1), facts(WEB2))
    served.port(WEB2, groups=("web",))
    assert on_host(served, "compute1") == [WEB1, WEB2]
    assert on_host(served, "compute1", limit=1) == [WEB1]
    assert on_host(served, "compute1", after=WEB1) == [WEB2]
    assert on_host(served, "compute1", after=WEB2) == []


def test_a_host_still_knows_the_rules_of_a_guest_that_may_return(served):
    served.report("compute1")
    assert on_host(served, "compute1") == [WEB1]
    served.ports.forget("web1", mac(WEB1))
    assert on_host(served, "compute1") == []
