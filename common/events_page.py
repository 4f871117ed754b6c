"""docs/events.md, made from the code: `python -m common.events_page` prints it, and a test compares."""

import json
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from common.broker import QUEUE_MAX_MESSAGES
from common.broker_names import FEED_HEX_DIGITS, events_exchange
from common.event_bus import PENDING_MAX
from common.events import SCHEMA_VERSION, Event, EventType, Figures, MigrationState
from common.wire import to_primitive

_EXAMPLE: Final = Event(
    event_type=EventType.COMPLETED,
    at="2025-03-01T12:00:02.340+00:00",
    instance_uuid="1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f",
    instance_name="web1",
    instance_host="compute2",
    sentence="compute1 is clean; completed",
    migration=MigrationState(
        id="5f0c8a52-5b8c-4a53-8a2e-0d7f6f1c1a11",
        version=7,
        source="compute1",
        dest="compute2",
        phase="done",
        status="completed",
        epoch=6,
        host="compute2",
        is_abort_requested=False,
        needs_operator=False,
        waiting_for="",
        reason="",
        findings=(),
        figures=Figures(
            seconds=2.34,
            downtime_ms=87,
            sent_bytes=100663296,
            passes=3,
            network_gap_ms=143,
            network_verified=True,
        ),
    ),
    conductor="controller",
    stream="9f86d081884c7d65",
    sequence=42,
)

_TEXT: Final = """\
# Events

The conductors tell each change of a migration, and of where guests are, on the message bus. `limosa events --follow`
shows them as they come; any program that speaks AMQP 0-9-1 can follow as well. This page is made from the code:
`python -m common.events_page`.

    limosa events --follow                                # every event, one line each
    limosa events --follow --instance web1 -f json        # one guest, as JSON lines
    limosa events --follow --type 'migration.*'           # chosen by the broker, see below

## What may be relied on

- **Versioned.** Each event carries `schema_version`, now {version}. Within a version, types and fields are added and never
  change their meaning: ignore what you do not know.
- **After the commit.** An event speaks of what the database has. It is news and never a command: to act, ask a conductor.
- **At most once.** An event that the bus does not take is lost; up to {pending} wait in a conductor's memory while RabbitMQ
  is away, the oldest are dropped first. No migration waits for its events. Who must not miss anything reads the journal
  (`limosa migration log`), which is complete.
- **A gap is seen.** `sequence` counts the events of one `stream`, which is one run of one conductor, from 1; whoever follows
  all types sees a gap in it. `migration.version` counts the changes of one migration, whichever conductors made them.
- **Order.** The events of one conductor arrive in its order. Several conductors may advance one migration: order its events
  by `migration.version`.
- **Nobody takes from anybody.** Each follower has a queue of its own, exclusive and gone with its connection. Nothing
  piles up while nobody listens. A follower that stands still loses the oldest beyond {queue}.
- **Proven.** Each is signed with the conductors' key, as all messages are; `limosa events` shows no other, and says so. It
  needs the bus and the conductors' public key, and no key of an administrator: whoever may read from the bus may follow.
- **Harmless.** No event holds domain XML, a password or any other secret.

## On the bus

A durable topic exchange, `{exchange}` (`control_exchange` and `.events`), whose routing key is the type. Bind a
private queue with a pattern of AMQP: `*` is one word between dots, `#` any number of them. An administrator's
user of RabbitMQ may do that with queues named `{exchange}.NAME.` and {digits} hexadecimal digits; it declares the exchange
passively. The body is JSON: the envelope that all messages of Limosa have, with `interface` = `events`
and, in `payload`, the event as JSON text.

## Types

{types}

A request that checks refuse at once makes no migration and no event; what is refused later ends as `migration.failed`, with
the codes in `findings`. That a host is silent is no event either: `limosa service list` shows it.

## Fields

{event}

### `migration`

{migration}

### `migration.figures`

{figures}

## Example

```json
{example}
```
"""


def render() -> str:
    """The text of docs/events.md."""
    return _TEXT.format(
        version=SCHEMA_VERSION,
        pending=PENDING_MAX,
        queue=QUEUE_MAX_MESSAGES,
        exchange=events_exchange("limosa"),
        digits=FEED_HEX_DIGITS,
        types=_table(("type", "what has happened"), ((f"`{kind}`", kind.meaning) for kind in EventType)),
        event=_fields(Event),
        migration=_fields(MigrationState),
        figures=_fields(Figures),
        example=json.dumps(to_primitive(_EXAMPLE), indent=2),
    )


def _fields(kind: Any) -> str:
    hints = typing.get_type_hints(kind)
    rows = (
        (f"`{field.name}`", _word(hints[field.name]), field.metadata["meaning"]) for field in fields(kind)
    )
    return _table(("field", "JSON", "meaning"), rows)


def _word(kind: Any) -> str:
    """What JSON has of a type."""
    if kind is types.NoneType:
        return "null"
    if typing.get_origin(kind) is types.UnionType:
        return " or ".join(map(_word, typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        return "list of " + _word(typing.get_args(kind)[0]) + "s"
    return {str: "string", int: "integer", float: "number", bool: "boolean"}.get(kind, "object")


def _table(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = (headings, ("---",) * len(headings), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    sys.stdout.write(render())
