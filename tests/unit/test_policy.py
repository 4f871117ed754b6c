"""Who may call what, by the policy as it is shipped and by an operator's file."""

from inspect import getmembers, isfunction
from pathlib import Path

import pytest
from oslo_config import cfg

from common.errors import ConfigurationError
from common.states import Role
from conductor.endpoint import ConductorEndpoint
from conductor.gate import OF_HOSTS
from conductor.policy import BY_METHOD, RULES, Policy, render_sample

SAMPLE = Path(__file__).parents[2] / "etc/limosa/policy.yaml.sample"


@pytest.fixture
def make_policy(tmp_path):
    def make_policy(text: str | None = None) -> Policy:
        conf = cfg.ConfigOpts()
        (tmp_path / "limosa.conf").write_text("")
        if text is not None:
            (tmp_path / "policy.yaml").write_text(text)
        conf(["--config-file", str(tmp_path / "limosa.conf")], project="limosa", default_config_dirs=[])
        return Policy(conf)

    return make_policy


def permitted(policy, role, name="ann"):
    return {rule.method for rule in RULES if policy.permits(name, role, rule)}


def test_every_method_of_the_endpoint_has_one_rule_or_is_told_by_hosts():
    methods = {
        name
        for name, method in getmembers(ConductorEndpoint, isfunction)
        if hasattr(method, "_limosa_exposed")
    }
    assert methods == BY_METHOD.keys() | OF_HOSTS.keys()
    assert not BY_METHOD.keys() & OF_HOSTS.keys()


def test_a_mightier_role_may_all_that_a_lesser_one_may(make_policy):
    policy = make_policy()
    reader, operator, admin = (permitted(policy, role) for role in (Role.READER, Role.OPERATOR, Role.ADMIN))
    assert reader < operator < admin == BY_METHOD.keys()


def test_a_reader_changes_nothing(make_policy):
    assert not any(BY_METHOD[method].is_change for method in permitted(make_policy(), Role.READER))


def test_an_operator_moves_guests_and_registers_nobody(make_policy):
    operator = permitted(make_policy(), Role.OPERATOR)
    assert "live_migrate" in operator
    assert not operator & {"create_administrator", "revoke_administrator", "list_audit", "judge_migration"}


def test_an_operators_file_has_the_last_word(make_policy):
    policy = make_policy('"limosa:live_migrate": "user_id:bob"\n"limosa:list_audit": "@"\n')
    assert "live_migrate" in permitted(policy, Role.READER, name="bob")
    assert "live_migrate" not in permitted(policy, Role.ADMIN, name="ann")
    assert "list_audit" in permitted(policy, Role.READER)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('"limosa:live_migrat": "@"', "no such rule: limosa:live_migrat"),
        ('"limosa:live_migrate": "rule:nobody"', "limosa:live_migrate"),
        ("a: [", "policy_file"),
        ("- a list", "policy_file"),
    ],
)
def test_a_file_that_cannot_work_stops_the_conductor_at_start(make_policy, text, complaint):
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        make_policy(text)
    assert caught.value.exit_code == 2


def forbid(policy_file, text):
    """Put another file in its place, as an editor does."""
    policy_file.with_suffix(".new").write_text(text)
    policy_file.with_suffix(".new").rename(policy_file)


def test_a_file_that_changes_is_read_again(make_policy, tmp_path):
    policy = make_policy('"limosa:live_migrate": "!"')
    assert "live_migrate" not in permitted(policy, Role.ADMIN)

    forbid(tmp_path / "policy.yaml", '"limosa:list_audit": "!"')

    assert "live_migrate" in permitted(policy, Role.ADMIN)
    assert "list_audit" not in permitted(policy, Role.ADMIN)


@pytest.mark.parametrize(
    "text", ["", "a: [", '"limosa:live_migrat": "!"', '"limosa:live_migrate": ""', "[1]", None]
)
def test_a_file_that_cannot_work_while_running_permits_no_more_than_before(
    make_policy, tmp_path, caplog, text
):
    policy = make_policy('"limosa:live_migrate": "!"')
    if text is None:
        (tmp_path / "policy.yaml").unlink()
    else:
        forbid(tmp_path / "policy.yaml", text)

    assert "live_migrate" not in permitted(policy, Role.ADMIN)
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1


@pytest.mark.parametrize(
    "text",
    [
        '"limosa:live_migrate": "role:admin and"',
        '"limosa:create_administrator":',
        '"limosa:create_administrator": ""',
        '"limosa:create_administrator": []',
        '"admin": ""',
        '17: "@"',
        '"limosa:live_migrate": "rule:limosa:live_migrate"',
    ],
)
def test_a_rule_that_nobody_can_have_meant_stops_the_conductor_at_start(make_policy, text):
    with pytest.raises(ConfigurationError, match="policy_file"):
        make_policy(text)


def test_the_sample_is_what_the_code_says():
    assert SAMPLE.read_text(encoding="utf-8") == render_sample()
