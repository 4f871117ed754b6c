"""What each administrator may ask for: the rules, and the operator's file that may change them (oslo.policy).

A rule for each method of the endpoint that clients call; a test compares. Agents are no matter of policy: what a host
may tell is decided by what concerns it (`conductor.gate`). `python -m conductor.policy` prints the sample.
"""

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oslo_config import cfg
from oslo_policy import policy

from common.errors import ConfigurationError
from common.states import Role

PREFIX: Final = "limosa:"

LOG = logging.getLogger(__name__)

_ROLES: Final = {
    Role.ADMIN: ("role:admin", "Whoever decides who may do what."),
    Role.OPERATOR: ("role:operator or rule:admin", "Whoever moves guests."),
    Role.READER: ("role:reader or rule:operator", "Whoever looks."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One method that clients may call. `what` completes the sentence `... may not`."""

    method: str
    role: Role  # as shipped: this one, or a mightier one
    what: str
    is_change: bool = False  # audited, and done once for each request id


RULES: Final = (
    Rule(method="list_instances", role=Role.READER, what="list instances"),
    Rule(method="show_instance", role=Role.READER, what="look at an instance"),
    Rule(method="list_services", role=Role.READER, what="list services"),
    Rule(method="check_instance", role=Role.READER, what="check an instance"),
    Rule(method="diagnose", role=Role.READER, what="have the hosts looked at"),
    Rule(method="cpu_baseline", role=Role.READER, what="ask which CPU hosts have in common"),
    Rule(method="list_migrations", role=Role.READER, what="list migrations"),
    Rule(method="show_migration", role=Role.READER, what="look at a migration"),
    Rule(method="migration_log", role=Role.READER, what="read the log of a migration"),
    Rule(method="watch_migration", role=Role.READER, what="watch a migration"),
    Rule(method="live_migrate", role=Role.OPERATOR, what="migrate an instance", is_change=True),
    Rule(method="abort_migration", role=Role.OPERATOR, what="abort a migration", is_change=True),
    Rule(method="judge_migration", role=Role.ADMIN, what="judge a migration", is_change=True),
    Rule(method="list_hosts", role=Role.READER, what="list hosts"),
    Rule(method="show_host", role=Role.READER, what="look at a host"),
    Rule(method="describe_resource", role=Role.READER, what="look at the resources of a host"),
    Rule(method="instance_history", role=Role.READER, what="read the history of an instance"),
    Rule(method="enable_service", role=Role.OPERATOR, what="enable a host", is_change=True),
    Rule(method="disable_service", role=Role.OPERATOR, what="disable a host", is_change=True),
    Rule(method="list_security_groups", role=Role.READER, what="list security groups"),
    Rule(method="show_security_group", role=Role.READER, what="look at a security group"),
    Rule(method="create_security_group", role=Role.OPERATOR, what="create a security group", is_change=True),
    Rule(method="delete_security_group", role=Role.OPERATOR, what="delete a security group", is_change=True),
    Rule(
        method="add_security_group_rule", role=Role.OPERATOR, what="change a security group", is_change=True
    ),
    Rule(
        method="remove_security_group_rule",
        role=Role.OPERATOR,
        what="change a security group",
        is_change=True,
    ),
    Rule(method="list_ports", role=Role.READER, what="list the interfaces of instances"),
    Rule(
        method="set_port", role=Role.OPERATOR, what="set addresses and groups of an interface", is_change=True
    ),
    Rule(
        method="unset_port",
        role=Role.OPERATOR,
        what="set addresses and groups of an interface",
        is_change=True,
    ),
    Rule(method="show_firewall", role=Role.READER, what="look at the firewall of an instance"),
    Rule(method="list_networks", role=Role.READER, what="list networks"),
    Rule(method="show_network", role=Role.READER, what="look at a network"),
    Rule(method="create_network", role=Role.OPERATOR, what="declare a network", is_change=True),
    Rule(method="delete_network", role=Role.OPERATOR, what="delete a network", is_change=True),
    Rule(method="attach_network", role=Role.OPERATOR, what="attach a network to a host", is_change=True),
    Rule(method="detach_network", role=Role.OPERATOR, what="detach a network from a host", is_change=True),
    Rule(method="list_volumes", role=Role.READER, what="list volumes"),
    Rule(method="set_volume", role=Role.OPERATOR, what="declare a volume", is_change=True),
    Rule(method="unset_volume", role=Role.OPERATOR, what="declare a volume", is_change=True),
    Rule(method="list_administrators", role=Role.READER, what="list administrators"),
    Rule(method="create_administrator", role=Role.ADMIN, what="create an administrator", is_change=True),
    Rule(method="revoke_administrator", role=Role.ADMIN, what="revoke an administrator", is_change=True),
    Rule(method="list_audit", role=Role.ADMIN, what="read the audit"),
)

BY_METHOD: Final[Mapping[str, Rule]] = {rule.method: rule for rule in RULES}


class Policy:
    """Decides. A file that has changed is read again; one that cannot work then leaves the rules as they were."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Raises ConfigurationError for a file that cannot be read, or that names what does not exist."""
        self._conf = conf
        self._enforcer = _load(conf)
        self._stamp = self._stamp_now()

    def permits(self, name: str, role: Role, rule: Rule) -> bool:
        """Whether this administrator may call this method. What cannot be decided is not permitted."""
        self._read_again_if_changed()
        credentials: dict[str, Any] = {"roles": [role.value], "user_id": name}
        try:
            return bool(self._enforcer.enforce(PREFIX + rule.method, {}, credentials))
        except Exception:
            LOG.exception("the policy cannot say whether %s may %s: it is not permitted", name, rule.what)
            return False

    def _read_again_if_changed(self) -> None:
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if stamp is None or not stamp[-1]:
            # Somebody is about to write it, and what it forbids must stay forbidden.
            LOG.error("the policy file is gone or empty: its rules hold until the conductor is started anew")
            return
        try:
            self._enforcer = _load(self._conf)
        except ConfigurationError as error:
            LOG.error("%s The rules that were there before hold.", error)
        else:
            LOG.warning("the policy file has changed: its rules hold from now on")

    def _stamp_now(self) -> tuple[int, ...] | None:
        """What changes with the file, its size last; None: there is none."""
        path = self._conf.find_file(self._conf.oslo_policy.policy_file)
        try:
            found = Path(path).stat() if path else None
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_ino, found.st_size)


def _load(conf: cfg.ConfigOpts) -> Any:
    """The rules as the file has them now; raises ConfigurationError."""
    enforcer = policy.Enforcer(conf)
    enforcer.suppress_default_change_warnings = True
    enforcer.register_defaults(list(_defaults()))
    try:
        enforcer.load_rules()
        enforcer.check_rules(raise_on_violation=True)
        problem = next(_problems(enforcer.file_rules), None)
    except Exception as error:  # of YAML, of oslo.policy, of the file: all of them are about the file
        raise _unusable(str(error)) from error
    if problem is not None:
        raise _unusable(problem)
    enforcer.use_conf = False  # it would read the file again by itself, whatever stands there then
    return enforcer


def _problems(file_rules: Mapping[str, Any]) -> Iterator[str]:
    """What oslo.policy would take, and nobody can have meant: an empty rule lets everybody in."""
    known = {default.name for default in _defaults()}
    misspelt = sorted(name for name in file_rules if name.startswith(PREFIX) and name not in known)
    if misspelt:
        yield f"there is no such rule: {', '.join(misspelt)}"
    for name, rule in sorted(file_rules.items()):
        if not isinstance(rule.check_str, str) or not rule.check_str.strip():
            yield f"{name} has no text: write @ for everybody, ! for nobody"
        elif str(rule.check) == "!" and rule.check_str.strip() != "!":
            yield f"{name} cannot be understood: {rule.check_str}"


def _unusable(reason: str) -> ConfigurationError:
    return ConfigurationError(group="oslo_policy", option="policy_file", reason=reason)


def _defaults() -> Iterable[Any]:
    for role, (check, description) in _ROLES.items():
        yield policy.RuleDefault(role.value, check, description)
    for rule in RULES:
        yield policy.RuleDefault(PREFIX + rule.method, f"rule:{rule.role}", rule.what.capitalize() + ".")


def render_sample() -> str:
    """The text of etc/limosa/policy.yaml.sample."""
    lines = [
        "# Who may do what. Copy it to /etc/limosa/policy.yaml and change what is to differ; the syntax is that of",
        "# oslo.policy: role:NAME, user_id:NAME, rule:NAME, and, or, not, @ (everybody), ! (nobody).",
    ]
    for default in _defaults():
        lines += ["", f"# {default.description}", f'#"{default.name}": "{default.check_str}"']
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render_sample())
