"""Findings: complete enough to be read alone."""

import string

import pytest

from common import checks
from common.checks import Check, Severity, refusing

ALL = [value for value in vars(checks).values() if isinstance(value, Check)]


def names_in(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_a_finding_says_what_was_compared_with_what():
    finding = checks.DEST_UNKNOWN.finding(dest="compute9", known="compute1, compute2")
    assert finding.sentence == "There is no host compute9."
    assert "compute1, compute2" in finding.hint
    assert finding.evidence == {"dest": "compute9", "known": "compute1, compute2"}


def test_evidence_that_is_not_given_is_a_bug_and_shows_at_once():
    with pytest.raises(KeyError):
        checks.DEST_UNKNOWN.finding(dest="compute9")


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.code)
def test_every_check_can_be_filled_and_gives_advice(check):
    needed = (names_in(check.sentence) | names_in(check.hint)) - {"host"}
    finding = check.finding("compute1", **dict.fromkeys(needed, "x"))
    assert finding.sentence.endswith(".")
    assert finding.hint
    assert finding.host == "compute1"


def test_no_two_checks_share_a_code():
    codes = [check.code for check in ALL]
    assert len(codes) == len(set(codes))


def test_warnings_do_not_stop_a_migration():
    warns = Check(code="c", sentence="s.", hint="h", severity=Severity.WARNS).finding()
    refuses = Check(code="d", sentence="s.", hint="h").finding()
    assert refusing([warns, refuses]) == (refuses,)
