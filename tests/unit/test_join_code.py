"""The line that a person carries from a controller to a host."""

import pytest

from common.identity import PrivateKey
from common.join_code import JoinCode, JoinCodeError

CHARACTERS_MAX = 150


@pytest.fixture
def code():
    return JoinCode.new("compute1", conductors=PrivateKey.generate().public, authority=b"\xaa" * 32)


def test_it_goes_through_its_text_and_is_one_short_line(code):
    again = JoinCode.parse(f"  {code.text}\n")

    assert (again.host, again.secret, again.authority) == (code.host, code.secret, code.authority)
    assert again.conductors.to_pem() == code.conductors.to_pem()
    assert len(code.text) <= CHARACTERS_MAX
    assert not code.text.startswith("-"), "it would be taken for an option"


def test_both_ends_make_the_same_key_and_password_of_it_and_no_other_code_does(code):
    again = JoinCode.parse(code.text)
    other = JoinCode.new(code.host, conductors=code.conductors, authority=code.authority)

    assert again.key.public.to_pem() == code.key.public.to_pem() != other.key.public.to_pem()
    assert again.broker_password == code.broker_password != other.broker_password


def test_its_secret_is_not_shown_by_accident(code):
    assert repr(code.secret) not in repr(code)


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: text[1:], lambda text: ""])
def test_a_part_of_it_is_told_from_the_whole(code, change):
    with pytest.raises(JoinCodeError):
        JoinCode.parse(change(code.text))


def test_every_character_counts(code):
    for place, character in enumerate(code.text):
        wrong = "A" if character != "A" else "B"
        with pytest.raises(JoinCodeError):
            JoinCode.parse(code.text[:place] + wrong + code.text[place + 1 :])


@pytest.mark.parametrize("text", ["compute1", "ä" * 124, "=" * 8, "A" * 124, "A" * 5])
def test_what_is_no_code_is_told(text):
    with pytest.raises(JoinCodeError):
        JoinCode.parse(text)
