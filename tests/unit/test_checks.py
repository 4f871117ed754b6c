"""Findings: complete enough to be read alone."""

from pathlib import Path

import pytest

from common import check_catalog, checks
from common.checks import Check, Severity, refusing

ALL = check_catalog.every_check()
PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


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
    finding = check.finding("compute1", **dict.fromkeys(check_catalog.evidence_of(check), "x"))
    assert finding.sentence.endswith(".")
    assert finding.hint
    assert finding.host == "compute1"


def test_every_check_is_on_the_page_with_its_meaning():
    page = PAGE.read_text(encoding="utf-8")

    assert page == check_catalog.render_page(), "run `python -m common.check_catalog > docs/checks.md`"
    for check in ALL:
        assert f"## {check.code}\n\n{check.meaning}\n" in page
        assert check.meaning.endswith("."), check.code


def test_one_check_may_warn_here_and_refuse_there():
    assert checks.INSTANCE_GONE.warning("compute1", instance="web1").severity is Severity.WARNS
    assert checks.INSTANCE_GONE.refusal("compute1", instance="web1") == checks.INSTANCE_GONE.finding(
        "compute1", instance="web1"
    )


def test_no_two_checks_share_a_code():
    codes = [check.code for check in ALL]
    assert len(codes) == len(set(codes))


def test_warnings_do_not_stop_a_migration():
    warns = Check(code="c", sentence="s.", hint="h", severity=Severity.WARNS).finding()
    refuses = Check(code="d", sentence="s.", hint="h").finding()
    assert refusing([warns, refuses]) == (refuses,)
