"""docs/firewall.md says what is refused in the words in which it is."""

import re
from pathlib import Path

import pytest

from common.errors import InvalidRequestError
from common.firewall_views import RuleRequest
from common.states import Direction
from conductor import guest_ports, rules, security_groups

PAGE = (Path(__file__).parents[2] / "docs" / "firewall.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(?P<words>--[^`]*)`[^|]* \| (?P<sentence>[^|]+) \|$", re.MULTILINE)
FIELDS = {
    "--protocol": "protocol",
    "--remote": "remote",
    "--family": "family",
    "--icmp-code": "icmp_code",
    "--icmp-type": "icmp_type",
}


def request(words):
    """The rule that a row is about; `--port 90:80` alone is of tcp."""
    asked = {"group": "web", "direction": Direction.INGRESS}
    words = words.split()
    if "--ingress" in words:
        words.remove("--ingress")
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option == "--port":
            first, _, last = value.partition(":")
            asked.update(port_min=int(first), port_max=int(last or first))
            if last:
                asked.setdefault("protocol", "tcp")
        else:
            asked[FIELDS[option]] = int(value) if value.isdigit() else value
    return RuleRequest(**asked)


@pytest.mark.parametrize(
    ("words", "sentence"), [row.group("words", "sentence") for row in ROW.finditer(PAGE)]
)
def test_the_page_quotes_the_refusal_of_a_senseless_rule(words, sentence):
    with pytest.raises(InvalidRequestError) as refused:
        rules.sensible(request(words))
    beginning, *_ = sentence.split(", ...")
    assert str(refused.value).startswith(beginning)


def test_the_page_has_the_bounds():
    assert len(ROW.findall(PAGE)) >= 9
    for bound in (
        f"| groups | {security_groups.GROUPS_MAX:,} |",
        f"| rules | {security_groups.RULES_MAX} in a group, {security_groups.ALL_RULES_MAX:,} in all |",
        f"| groups of an interface | {guest_ports.GROUPS_MAX} |",
        f"| addresses of an interface | {guest_ports.ADDRESSES_MAX} |",
    ):
        assert bound in PAGE
