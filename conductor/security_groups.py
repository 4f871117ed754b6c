"""Security groups: made, changed and removed by administrators; hosts are told of each change that concerns their guests."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from common.context import Context
from common.errors import (
    InvalidRequestError,
    RuleExistsError,
    RuleNotFoundError,
    SecurityGroupExistsError,
    SecurityGroupInUseError,
    SecurityGroupNotFoundError,
)
from common.firewall_views import RuleRequest, RuleView, SecurityGroupRequest, SecurityGroupView
from common.identity import is_name
from conductor.db import clock, filtering
from conductor.db.engine import Database
from conductor.db.firewall_models import PortGroup, SecurityGroup, SecurityGroupRule
from conductor.db.models import Instance
from conductor.filtering import GroupRule
from conductor.presentation import iso
from conductor.rules import OUTWARDS, sensible
from conductor.sender import Sender

GROUPS_MAX: Final = 1_000
RULES_MAX: Final = 200  # of one group
ALL_RULES_MAX: Final = 20_000  # some 4 MB, in the one message that lists all groups
RULE_ID_MAX: Final = 2**63 - 1  # SQLite's integers; sqlite3 raises OverflowError for what is beyond
DESCRIPTION_MAX_CHARS: Final = 255
USERS_MAX: Final = 10  # named in one sentence

T = TypeVar("T")


class SecurityGroups:
    """The only writer of groups and rules."""

    def __init__(self, database: Database, sender: Sender) -> None:
        self._database = database
        self._sender = sender

    def create(self, request: SecurityGroupRequest, *, asked: Context) -> SecurityGroupView:
        """Make a group that lets its members send to all. Raises InvalidRequestError, SecurityGroupExistsError."""
        _validate(request)

        def create(session: Session) -> SecurityGroupView:
            filtering.tick(session)
            known = session.get(SecurityGroup, request.name)
            if known is not None and known.request_id != asked.request_id:
                raise SecurityGroupExistsError(group=request.name)
            return _view(session, known or _add(session, request, asked=asked))

        return self._database.transact(create)

    def list(self) -> tuple[SecurityGroupView, ...]:
        """All, by name."""
        with self._database.reading() as session:
            rows = session.scalars(select(SecurityGroup).order_by(SecurityGroup.name)).all()
            rules: defaultdict[str, list[SecurityGroupRule]] = defaultdict(list)
            for rule in session.scalars(select(SecurityGroupRule).order_by(SecurityGroupRule.id)):
                rules[rule.security_group].append(rule)
            query = select(PortGroup.security_group, func.count()).group_by(PortGroup.security_group)
            members = {group: int(count) for group, count in session.execute(query)}
        return tuple(_view_of(row, rules[row.name], members.get(row.name, 0)) for row in rows)

    def show(self, name: str) -> SecurityGroupView:
        """Raises SecurityGroupNotFoundError."""
        with self._database.reading() as session:
            return _view(session, get(session, name))

    def delete(self, name: str) -> SecurityGroupView:
        """Raises SecurityGroupNotFoundError; SecurityGroupInUseError while an interface is in it, or a rule names it."""

        def remove(session: Session) -> SecurityGroupView:
            filtering.tick(session)
            row = get(session, name)
            users = _users(session, name)
            if users:
                raise SecurityGroupInUseError(group=name, users=", ".join(users))
            view = _view(session, row)
            session.execute(delete(SecurityGroupRule).where(SecurityGroupRule.security_group == name))
            session.delete(row)
            return view

        return self._database.transact(remove)

    def add_rule(self, request: RuleRequest, *, asked: Context) -> RuleView:
        """Raises InvalidRequestError for one that makes no sense; SecurityGroupNotFoundError, RuleExistsError."""
        rule = sensible(request)

        def add(session: Session) -> tuple[RuleView, set[str]]:
            revision = filtering.tick(session)
            group = get(session, request.group).name
            if rule.remote_group is not None:
                get(session, rule.remote_group)
            row = _alike(session, group, rule)
            if row is not None and row.request_id != asked.request_id:
                raise RuleExistsError(group=group, id=row.id)
            if row is None:
                row = _add_rule(session, group, rule, request_id=asked.request_id)
            return _rule_view(row), _change(session, group, revision)

        return self._transact(add)

    def remove_rule(self, group: str, rule: int) -> RuleView:
        """Raises SecurityGroupNotFoundError, RuleNotFoundError."""

        def remove(session: Session) -> tuple[RuleView, set[str]]:
            revision = filtering.tick(session)
            name = get(session, group).name
            row = session.get(SecurityGroupRule, rule) if 0 < rule <= RULE_ID_MAX else None
            if row is None or row.security_group != name:
                raise RuleNotFoundError(group=name, id=rule)
            session.delete(row)
            session.flush()
            return _rule_view(row), _change(session, name, revision)

        return self._transact(remove)

    def _transact(self, work: Callable[[Session], tuple[T, set[str]]]) -> T:
        result, hosts = self._database.transact(work)
        self._sender.refresh_filtering(hosts)
        return result


def get(session: Session, name: str) -> SecurityGroup:
    """Raises SecurityGroupNotFoundError."""
    row = session.get(SecurityGroup, name)
    if row is None:
        raise SecurityGroupNotFoundError(group=f"{name:.80}")
    return row


def _validate(request: SecurityGroupRequest) -> None:
    if not is_name(request.name):
        raise InvalidRequestError(
            reason=f"{request.name:.80} cannot be the name of a group: letters, digits, and . _ @ - between them."
        )
    if len(request.description) > DESCRIPTION_MAX_CHARS or not request.description.isprintable():
        raise InvalidRequestError(
            reason=f"A description is one line of at most {DESCRIPTION_MAX_CHARS} printable characters."
        )


def _add(session: Session, request: SecurityGroupRequest, *, asked: Context) -> SecurityGroup:
    if (session.scalar(select(func.count()).select_from(SecurityGroup)) or 0) >= GROUPS_MAX:
        raise InvalidRequestError(reason=f"There are {GROUPS_MAX} groups; there can be no more.")
    row = SecurityGroup(
        name=request.name,
        description=request.description,
        created_at_ms=clock.read_ms(session),
        created_by=asked.signer.name,
        request_id=asked.request_id,
    )
    session.add(row)
    session.flush()
    for rule in OUTWARDS:
        _add_rule(session, row.name, rule, request_id=asked.request_id)
    return row


def _add_rule(session: Session, group: str, rule: GroupRule, *, request_id: str) -> SecurityGroupRule:
    if len(_rules(session, group)) >= RULES_MAX:
        raise InvalidRequestError(reason=f"{group} has {RULES_MAX} rules; it can have no more.")
    if (session.scalar(select(func.count()).select_from(SecurityGroupRule)) or 0) >= ALL_RULES_MAX:
        raise InvalidRequestError(reason=f"All groups have {ALL_RULES_MAX} rules; there can be no more.")
    row = SecurityGroupRule(
        security_group=group,
        direction=rule.direction,
        family=rule.family,
        protocol=rule.protocol,
        port_min=rule.port_min,
        port_max=rule.port_max,
        remote=rule.remote,
        remote_group=rule.remote_group,
        request_id=request_id,
    )
    session.add(row)
    session.flush()
    return row


def _alike(session: Session, group: str, rule: GroupRule) -> SecurityGroupRule | None:
    return next((row for row in _rules(session, group) if filtering.rule_of(row) == rule), None)


def _change(session: Session, group: str, revision: int) -> set[str]:
    """The hosts of the guests that have the rules of this group, which have changed."""
    concerned = filtering.in_group(session, group)
    filtering.touch(session, concerned, revision)
    return filtering.hosts_of(session, concerned)


def _users(session: Session, name: str) -> Sequence[str]:
    """Who keeps a group from being deleted, in words."""
    members = session.execute(
        select(Instance.name, PortGroup.mac)
        .join(Instance, Instance.uuid == PortGroup.instance)
        .where(PortGroup.security_group == name)
        .order_by(Instance.name, PortGroup.mac)
    ).all()
    rules = session.scalars(
        select(SecurityGroupRule)
        .where(SecurityGroupRule.remote_group == name, SecurityGroupRule.security_group != name)
        .order_by(SecurityGroupRule.id)
    ).all()
    users = [f"{mac} of {instance}" for instance, mac in members]
    users += [f"rule {row.id} of {row.security_group}" for row in rules]
    further = len(users) - USERS_MAX
    return users if further <= 0 else [*users[:USERS_MAX], f"and {further} more"]


def _rules(session: Session, group: str) -> Sequence[SecurityGroupRule]:
    return session.scalars(
        select(SecurityGroupRule)
        .where(SecurityGroupRule.security_group == group)
        .order_by(SecurityGroupRule.id)
    ).all()


def _view(session: Session, row: SecurityGroup) -> SecurityGroupView:
    members = select(func.count()).select_from(PortGroup).where(PortGroup.security_group == row.name)
    return _view_of(row, _rules(session, row.name), session.scalar(members) or 0)


def _view_of(row: SecurityGroup, rules: Iterable[SecurityGroupRule], members: int) -> SecurityGroupView:
    return SecurityGroupView(
        name=row.name,
        description=row.description,
        rules=tuple(map(_rule_view, rules)),
        members=members,
        created_at=iso(row.created_at_ms),
        created_by=row.created_by,
    )


def _rule_view(row: SecurityGroupRule) -> RuleView:
    return RuleView(
        id=row.id,
        group=row.security_group,
        direction=row.direction,
        family=row.family,
        protocol=row.protocol,
        port_min=row.port_min,
        port_max=row.port_max,
        remote=row.remote,
        remote_group=row.remote_group,
    )
