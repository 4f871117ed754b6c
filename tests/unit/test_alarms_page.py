"""docs/operations/alarms.md speaks of what is really said."""

import re
from pathlib import Path

from common.states import Verdict

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations" / "alarms.md"


def test_every_alarm_of_the_page_is_said_somewhere() -> None:
    said = "".join(
        path.read_text()
        for top in ("conductor", "compute_agent", "common")
        for path in (ROOT / top).rglob("*.py")
    )
    rows = re.findall(r"^\|[^|]*?`([^`|]+)` *\|", PAGE.read_text(), re.MULTILINE)
    words = [
        row
        for row in rows
        if row not in set(Verdict) | {"limosa list", "limosa service list", "limosa host show"}
    ]
    elsewhere = re.findall(r"^\| an? [^|]*\| `([^`]+)`", PAGE.read_text(), re.MULTILINE)
    assert len(words) > 15
    assert [word for word in [*words, *elsewhere] if word not in said] == []


def test_every_way_into_an_alarm_is_on_the_page() -> None:
    page = PAGE.read_text()
    code = (ROOT / "conductor" / "judgement.py").read_text()
    sentences = re.findall(r"_alarm\(saga, f\"(.+?)\"\)", code)
    assert len(sentences) >= 4
    for sentence in sentences:
        stem = max(re.split(r"\{[^}]*\}", sentence), key=len).strip(" :;,")
        assert stem.split(", ")[0].removesuffix(" in") in page, sentence
    for verdict in (Verdict.BOTH, Verdict.CONFLICT):
        assert f"`{verdict}`" in page
