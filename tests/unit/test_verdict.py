"""The verdict table is the protocol's, pair by pair; the literal below is a copy of the text, not of the code."""

from itertools import product

import pytest

from common.states import DestSeen, SourceSeen, Verdict
from conductor.verdict import TABLE, verdict

PROTOCOL = """
| source \\ dest |absent|incoming-paused|paused-other|running|running-postcopy|postcopy-failed|shutoff|unreachable|
| running-job | MOVING | MOVING | MOVING | MOVING | MOVING | MOVING | MOVING | MOVING |
| paused-migrating+job | MOVING | MOVING | MOVING | MOVING | MOVING | MOVING | MOVING | MOVING |
| postcopy-running | POSTCOPY | POSTCOPY | POSTCOPY | POSTCOPY | POSTCOPY | POSTCOPY | POSTCOPY | POSTCOPY |
| running-nojob | ON_SOURCE | ON_SOURCE | CONFLICT | BOTH | CONFLICT | CONFLICT | ON_SOURCE | SRC_UNSEEN |
| paused-migrating | RESUME | WAIT | CONFLICT | ON_DEST | WAIT | CONFLICT | DIED_DEST | UNKNOWN |
| paused-other | ON_SOURCE | WAIT | CONFLICT | ON_DEST | WAIT | CONFLICT | CONFLICT | UNKNOWN |
| shutoff | OFF_SOURCE | WAIT | ON_DEST | ON_DEST | WAIT | LOST_POSTCOPY | DIED_DEST | UNKNOWN |
| absent | NOWHERE | WAIT | ON_DEST | ON_DEST | WAIT | LOST_POSTCOPY | DIED_DEST | UNKNOWN |
| postcopy-failed | LOST_POSTCOPY | WAIT | CONFLICT | ON_DEST | RECOVER | RECOVER | LOST_POSTCOPY | UNKNOWN |
| unreachable | UNKNOWN | UNKNOWN | UNKNOWN | UNKNOWN | UNKNOWN | UNKNOWN | UNKNOWN | UNKNOWN |
"""

UNDEFINED = """
| source \\ dest |absent|incoming-paused|paused-other|running|running-postcopy|postcopy-failed|shutoff|unreachable|
| undefined | CONFLICT | WAIT | ON_DEST | ON_DEST | WAIT | LOST_POSTCOPY | DIED_DEST | UNKNOWN |
"""

CONTRADICTORY = {
    **{(SourceSeen.CONTRADICTORY, dest): Verdict.CONFLICT for dest in DestSeen},
    **{(source, DestSeen.CONTRADICTORY): Verdict.CONFLICT for source in SourceSeen},
    # with a job the dest is not asked; a silent host decides nothing
    (SourceSeen.RUNNING_JOB, DestSeen.CONTRADICTORY): Verdict.MOVING,
    (SourceSeen.PAUSED_MIGRATING_JOB, DestSeen.CONTRADICTORY): Verdict.MOVING,
    (SourceSeen.POSTCOPY_RUNNING, DestSeen.CONTRADICTORY): Verdict.POSTCOPY,
    (SourceSeen.UNREACHABLE, DestSeen.CONTRADICTORY): Verdict.UNKNOWN,
    (SourceSeen.CONTRADICTORY, DestSeen.UNREACHABLE): Verdict.UNKNOWN,
}


def _parsed(text: str) -> dict[tuple[SourceSeen, DestSeen], Verdict]:
    header, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if line
    ]
    columns = [DestSeen(word) for word in header[1:]]
    return {
        (SourceSeen(row[0]), dest): Verdict(word)
        for row in rows
        for dest, word in zip(columns, row[1:], strict=True)
    }


EXPECTED = {**_parsed(PROTOCOL), **_parsed(UNDEFINED), **CONTRADICTORY}


def test_the_expected_table_speaks_of_every_pair() -> None:
    assert EXPECTED.keys() == set(product(SourceSeen, DestSeen))


@pytest.mark.parametrize(("source", "dest"), list(product(SourceSeen, DestSeen)), ids=str)
def test_verdict_is_the_protocols(source: SourceSeen, dest: DestSeen) -> None:
    assert verdict(source, dest) is EXPECTED[source, dest]


def test_the_table_has_no_pair_more_or_less_than_the_product() -> None:
    assert TABLE.keys() == set(product(SourceSeen, DestSeen))


def test_a_silent_source_never_decides_anything() -> None:
    assert {verdict(SourceSeen.UNREACHABLE, dest) for dest in DestSeen} == {Verdict.UNKNOWN}


def test_nothing_is_undone_while_the_dest_is_silent() -> None:
    undoing = {Verdict.ON_SOURCE, Verdict.RESUME, Verdict.OFF_SOURCE, Verdict.NOWHERE}

    assert undoing.isdisjoint(verdict(source, DestSeen.UNREACHABLE) for source in SourceSeen)
