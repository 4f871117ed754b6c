"""The codec: what we send is what arrives, and nothing else is accepted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.checks import MEMORY_SHORT, Finding
from common.facts import Heartbeat, Report
from common.migration import (
    Acknowledgement,
    CheckDestArguments,
    Command,
    DestinationFacts,
    DiskProbe,
    DomainChanges,
    GraphicsListen,
    LiveArguments,
    ObserveArguments,
    Outcome,
    Progress,
    RollbackArguments,
)
from common.states import DestSeen, PowerState, Result, SourceSeen, Verb
from common.views import MigrationView
from common.wire import WireError, from_primitive, to_primitive

COMMAND = Command(
    instance="4a1c", migration="m-1", epoch=7, verb=Verb.ROLLBACK, host="compute2", arguments=None
)
OUTCOME = Outcome(
    instance="4a1c",
    migration="m-1",
    epoch=7,
    verb=Verb.OBSERVE,
    host="compute2",
    boot_id="b",
    result=Result.OBSERVED,
)


def through_json(kind: type, value: object) -> object:
    return from_primitive(kind, json.loads(json.dumps(to_primitive(value, kind))))


@pytest.mark.parametrize(
    "arguments",
    [
        None,
        ObserveArguments(is_source=False),
        RollbackArguments(name="web1", keep_disks=True),
        CheckDestArguments(
            name="web1", memory_mib=96, vcpus=1, machine="q35", disks=(("vda", "file", "/d", "disk"),)
        ),
        LiveArguments(
            dest_facts=DestinationFacts(
                connect_address="c2",
                probes=(DiskProbe(disk="vda", path="/d", probe_path="/d.p", token="t"),),
            ),
            changes=DomainChanges(graphics=(GraphicsListen(type="vnc", address="::1"),)),
        ),
    ],
)
def test_a_command_arrives_as_it_was_sent(arguments):
    command = Command(
        instance="i", migration="m", epoch=1, verb=Verb.LIVE, host="compute1", arguments=arguments
    )
    assert through_json(Command, command) == command


def test_the_member_of_a_union_is_told_by_its_class_and_not_by_its_fields():
    primitive = to_primitive(
        Command(
            instance="i",
            migration="m",
            epoch=1,
            verb=Verb.OBSERVE,
            host="h",
            arguments=ObserveArguments(is_source=True),
        )
    )
    assert primitive["arguments"] == {"$type": "ObserveArguments", "is_source": True}


@pytest.mark.parametrize("seen", [SourceSeen.ABSENT, DestSeen.ABSENT, None])
def test_words_that_two_enums_share_keep_their_enum(seen):
    outcome = Outcome(
        instance="i",
        migration="m",
        epoch=1,
        verb=Verb.OBSERVE,
        host="h",
        boot_id="b",
        result=Result.OBSERVED,
        seen=seen,
    )
    arrived = through_json(Outcome, outcome)
    assert arrived == outcome
    assert type(arrived.seen) is type(seen)


def test_findings_keep_their_evidence():
    finding = MEMORY_SHORT.finding(
        "compute2",
        instance="web1",
        needed_mib=96,
        free_mib=12,
        total_mib=512,
        ratio=1.0,
        reserved_mib=64,
    )
    assert through_json(tuple[Finding, ...], (finding,)) == (finding,)


@given(
    host=st.text(),
    sequence=st.integers(),
    hypervisor_age_s=st.floats(allow_nan=False, allow_infinity=False),
    interval_s=st.floats(min_value=0, max_value=300),
)
def test_any_text_and_number_survives(host, sequence, hypervisor_age_s, interval_s):
    heartbeat = Heartbeat(
        host=host,
        start_id="s",
        sequence=sequence,
        hypervisor_age_s=hypervisor_age_s,
        interval_s=interval_s,
    )
    assert through_json(Heartbeat, heartbeat) == heartbeat


def test_a_whole_number_is_read_where_a_fraction_is_declared():
    arrived = from_primitive(float, 3)
    assert arrived == 3.0
    assert type(arrived) is float


@pytest.mark.parametrize(
    "kind", [Command, Outcome, Progress, Report, Heartbeat, Acknowledgement, MigrationView]
)
def test_every_message_has_a_codec(kind):
    with pytest.raises(WireError, match="missing"):
        from_primitive(kind, {})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"epoch": True}, r"Command\.epoch: expected int, got bool"),
        ({"epoch": 7.0}, r"Command\.epoch: expected int, got float"),
        ({"epoch": "7"}, r"Command\.epoch: expected int, got str"),
        ({"host": None}, r"Command\.host: expected str, got NoneType"),
        ({"verb": "explode"}, r"Command\.verb: 'explode' is no Verb"),
        ({"colour": "red"}, r"Command: unknown field 'colour'"),
        ({"arguments": {"is_source": True}}, r"Command\.arguments: "),
        ({"arguments": {"$type": "Outcome"}}, r"Command\.arguments: unknown \$type 'Outcome'"),
        ({"arguments": {"$type": "PreArguments", "name": 1}}, r"Command\.arguments\.name: expected str"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path(change, complaint):
    with pytest.raises(WireError, match=complaint):
        from_primitive(Command, {**to_primitive(COMMAND), **change})


def test_a_missing_field_without_default_is_refused():
    primitive = to_primitive(COMMAND)
    del primitive["epoch"], primitive["host"]
    with pytest.raises(WireError, match="missing epoch, host"):
        from_primitive(Command, primitive)


def test_a_field_that_is_not_sent_has_its_default():
    primitive = to_primitive(OUTCOME)
    for name in ("detail", "findings", "seconds", "seen"):
        del primitive[name]
    assert from_primitive(Outcome, primitive) == OUTCOME


def test_fields_of_a_newer_peer_are_dropped_at_every_depth():
    primitive = to_primitive(
        Command(
            instance="i",
            migration="m",
            epoch=1,
            verb=Verb.ROLLBACK,
            host="h",
            arguments=RollbackArguments(name="web1"),
        )
    )
    primitive["urgency"] = 3
    primitive["arguments"]["gently"] = True
    command = from_primitive(Command, primitive, ignore_unknown=True)
    assert command.arguments == RollbackArguments(name="web1")
    with pytest.raises(WireError, match="unknown field"):
        from_primitive(Command, primitive)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_cannot_say_is_not_sent(number):
    with pytest.raises(WireError):
        to_primitive(Heartbeat(host="h", start_id="s", sequence=1, hypervisor_age_s=number, interval_s=1.0))


def test_tuples_of_fixed_length_keep_it():
    with pytest.raises(WireError, match="expected 4 items, got 3"):
        from_primitive(tuple[str, str, str, str], ["a", "b", "c"])


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """What our messages do not have yet, and may."""

    either: int | str | None = None
    scores: Mapping[str, float] | None = None
    colour: Colour | None = None
    inner: "Mixed | None" = None


@pytest.mark.parametrize(
    "mixed",
    [
        Mixed(),
        Mixed(either=1),
        Mixed(either="1"),
        Mixed(scores={"a": 1.5}, colour=Colour.RED, inner=Mixed(either="deep")),
    ],
)
def test_plain_unions_maps_and_recursion(mixed):
    assert through_json(Mixed, mixed) == mixed


def test_a_plain_union_refuses_what_none_of_its_members_is():
    with pytest.raises(WireError, match=r"Mixed\.either: expected int or str or NoneType, got float"):
        from_primitive(Mixed, {"either": 1.5})


def test_a_type_that_cannot_travel_is_a_bug_of_ours():
    with pytest.raises(TypeError, match="cannot travel"):
        from_primitive(bytes, b"")


def test_an_enum_arrives_as_its_member():
    assert from_primitive(PowerState, "paused") is PowerState.PAUSED
