"""What `doctor` may find: declared, explained, and with a command that mends it."""

import re
from pathlib import Path

import pytest

from common import check_catalog, doctor_questions
from common.checks import CHECK_FAILED, DEST_UNKNOWN
from common.diagnosis import Health, line_of, would_stop

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
CHECKS = {check.code: check for question in doctor_questions.QUESTIONS for check in question.checks}
ENDS_WITH_A_COMMAND = re.compile(r".*`[^`]+`", re.DOTALL)


def filled(check, host="compute1"):
    return check.finding(host, **dict.fromkeys(check_catalog.evidence_of(check), "x"))


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_finding_ends_with_the_command_or_the_line_that_mends_it(check):
    assert ENDS_WITH_A_COMMAND.fullmatch(filled(check).hint), filled(check).hint


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_finding_is_one_line_with_a_meaning(check):
    assert "\n" not in filled(check).sentence + filled(check).hint
    assert filled(check).sentence.endswith(".")
    assert check.meaning.endswith(".")


def test_the_page_is_made_of_the_code():
    assert PAGE.read_text(encoding="utf-8") == doctor_questions.render_page(), (
        "run `python -m common.doctor_questions > docs/doctor.md`"
    )


def test_a_code_means_one_thing_in_a_migration_and_for_the_doctor():
    known = {check.code: check for check in check_catalog.every_check()}
    assert all(known.get(code, check) is check for code, check in CHECKS.items())


def test_no_two_questions_have_the_same_word():
    words = [question.word for question in doctor_questions.QUESTIONS]
    assert len(words) == len(set(words))


def test_what_a_question_does_not_declare_cannot_be_found_by_it():
    with pytest.raises(ValueError, match="declares no dest_unknown"):
        doctor_questions.HOOK.found(DEST_UNKNOWN.finding(dest="x", known="y"), host="compute1")


def test_what_could_not_be_looked_at_counts_as_what_stops_a_migration():
    failed = doctor_questions.HOOK.found(CHECK_FAILED.finding("compute1", reason="x"), host="compute1")
    assert failed.result is Health.FIX
    assert would_stop([failed])


def test_a_line_says_how_it_is_where_and_what_mends_it():
    passed = doctor_questions.PEER.passed("It is reached.", host="compute1", peer="compute2")
    assert line_of(passed) == "pass  compute1 -> compute2  peer: It is reached."
    warned = doctor_questions.CLOCK.found(
        doctor_questions.doctor_checks.CLOCK_LOOSE.finding("compute1"), host="compute1"
    )
    assert line_of(warned).startswith("warn  compute1  clock: Nothing keeps")
    assert line_of(warned).endswith("`timedatectl set-ntp true`")
    assert not would_stop([passed, warned])
