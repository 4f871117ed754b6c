"""Options set in a file that its operator has written, too: what else it says stays."""

import pytest

from common.configuration_file import with_options

URL = ("DEFAULT", "transport_url")
TEXT = """\
# Ours.
[DEFAULT]
# transport_url = rabbit://example/
transport_url = rabbit://old/
host = controller

[database]
connection = sqlite:////tmp/x
"""


@pytest.mark.parametrize(
    ("text", "values", "changed"),
    [
        (TEXT, {URL: "rabbit://new/"}, TEXT.replace("old", "new")),
        (TEXT, {}, TEXT),
        ("", {URL: "x"}, "[DEFAULT]\ntransport_url = x\n"),
        ("[DEFAULT]\nhost = a\n", {URL: "x"}, "[DEFAULT]\ntransport_url = x\nhost = a\n"),
        ("[DEFAULT]\n", {("broker", "a"): "1"}, "[DEFAULT]\n\n[broker]\na = 1\n"),
        ("[a]\nx = 1\nx: 2\n[b]\nx = 3\n", {("a", "x"): "4"}, "[a]\nx = 4\n[b]\nx = 3\n"),
        ("[a]\nxy = 1\n", {("a", "x"): "4"}, "[a]\nx = 4\nxy = 1\n"),
        ("[a]\n", {("a", "x"): "p$w"}, "[a]\nx = p$$w\n"),
    ],
    ids=["replaced", "nothing", "empty", "first", "section", "twice", "longer-name", "dollar"],
)
def test_an_option_is_set_and_the_rest_stays(text, values, changed):
    assert with_options(text, values) == changed
    assert with_options(changed, values) == changed
