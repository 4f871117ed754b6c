"""Errors that travel: the sentence, the hint, and the way there and back."""

import pytest

from common.errors import (
    ConfigurationError,
    InstanceNotFoundError,
    LimosaError,
    RefusedError,
    UnknownRemoteError,
    describe,
    describe_os_error,
)


def all_errors(kind: type[LimosaError] = LimosaError) -> list[type[LimosaError]]:
    return [sub for direct in kind.__subclasses__() for sub in (direct, *all_errors(direct))]


def test_an_error_is_a_sentence_with_its_fields():
    error = ConfigurationError(group="libvirt", option="live_migration_flag", reason="no")
    assert str(error) == "[libvirt]live_migration_flag: no."
    assert error.exit_code == 2


@pytest.mark.parametrize("reason", ["did you mean host?", "It ends by itself."])
def test_a_reason_that_ends_by_itself_gets_no_second_full_stop(reason):
    error = ConfigurationError(group="DEFAULT", option="host", reason=reason)
    assert str(error) == f"[DEFAULT]host: {reason}"


@pytest.mark.parametrize(("count", "counted"), [(0, "0 findings"), (1, "1 finding"), (2, "2 findings")])
def test_findings_are_counted_in_the_right_number(count, counted):
    assert str(RefusedError(instance="web1", count=count)) == f"web1 was not moved: {counted} against it."


def test_an_os_error_is_told_without_its_number(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "x").read_text()
    assert describe_os_error(caught.value) == f"{tmp_path}/x: No such file or directory"


def test_a_missing_field_is_a_bug_and_shows_at_once():
    with pytest.raises(KeyError):
        InstanceNotFoundError()


def test_an_error_comes_back_as_its_own_class():
    sent = InstanceNotFoundError(instance="web1")
    came = LimosaError.by_code(type(sent).__name__, fields=sent.fields)
    assert type(came) is InstanceNotFoundError
    assert str(came) == str(sent)
    assert came.exit_code == 3


def test_an_error_of_a_newer_peer_is_shown_with_its_fields():
    came = LimosaError.by_code("MoonPhaseError", fields={"phase": "full"})
    assert type(came) is UnknownRemoteError
    assert "MoonPhaseError" in str(came)
    assert "phase=full" in str(came)


def test_findings_come_along():
    error = LimosaError.by_code("RefusedError", fields={"instance": "web1", "count": "0"})
    assert isinstance(error, RefusedError)
    assert error.findings == ()


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_hint_can_be_filled_from_the_fields_of_its_message(kind):
    class AnyField(dict):
        def __missing__(self, name):
            used.add(name)
            return name

    used: set[str] = set()
    kind.message.format_map(AnyField())
    in_message = set(used)
    kind.hint.format_map(AnyField())
    assert used == in_message


def test_no_two_errors_share_the_name_that_they_travel_under():
    names = [kind.__name__ for kind in all_errors()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InstanceNotFoundError(instance="web1"), "There is no instance web1."),
        (ValueError("bad"), "ValueError: bad"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_line_for_the_journal_says_what_kind_of_error_it_was(error, line):
    assert describe(error) == line
