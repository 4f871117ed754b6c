"""What each administrator may ask for: the rules, and the operator's file that may change them (oslo.policy).

A rule for each method of the endpoint that clients call; a test compares. Agents are no matter of policy: what a host
may tell is decided by what concerns it (`conductor.gate`). `python -m conductor.policy` prints the sample.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from oslo_config import cfg
from oslo_policy import policy

from common.errors import ConfigurationError
from common.states import Role

PREFIX: Final = "limosa:"

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
    Rule(method="list_administrators", role=Role.READER, what="list administrators"),
    Rule(method="create_administrator", role=Role.ADMIN, what="create an administrator", is_change=True),
    Rule(method="revoke_administrator", role=Role.ADMIN, what="revoke an administrator", is_change=True),
    Rule(method="list_audit", role=Role.ADMIN, what="read the audit"),
)

BY_METHOD: Final[Mapping[str, Rule]] = {rule.method: rule for rule in RULES}


class Policy:
    """Decides. Reads the operator's file again when it has changed."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Raises ConfigurationError for a file that cannot be read, or that names what does not exist."""
        self._enforcer = policy.Enforcer(conf)
        self._enforcer.suppress_default_change_warnings = True
        self._enforcer.register_defaults(list(_defaults()))
        try:
            self._enforcer.load_rules()
            self._enforcer.check_rules(raise_on_violation=True)
        except Exception as error:  # of YAML, of oslo.policy, of the file: all of them are about the file
            raise _unusable(str(error)) from error
        unknown = self._enforcer.file_rules.keys() - {default.name for default in _defaults()}
        misspelt = sorted(name for name in unknown if name.startswith(PREFIX))
        if misspelt:
            raise _unusable(f"there is no such rule: {', '.join(misspelt)}")

    def permits(self, name: str, role: Role, rule: Rule) -> bool:
        """Whether this administrator may call this method."""
        credentials: dict[str, Any] = {"roles": [role.value], "user_id": name}
        return bool(self._enforcer.enforce(PREFIX + rule.method, {}, credentials))


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
