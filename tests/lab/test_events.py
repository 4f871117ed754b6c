"""Events over the real RabbitMQ: many followers, dead ones, and a broker that is killed."""

import itertools
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import broker
from lab.faults import Victim
from lab.lab import Lab
from lab.processes import Process
from tests.lab import observer

WAY_OF_A_MIGRATION = [
    "migration.accepted",
    "migration.check-source",
    "migration.pre-live-migration",
    "migration.live-migration",
    "migration.post-dest",
    "migration.post-source",
    "migration.completed",
]
OUTPUT_TIMEOUT_S = 20.0

_serial = itertools.count()


class Follower:
    """`limosa events --follow -f json` on the controller."""

    def __init__(self, lab: Lab, *options: str) -> None:
        name = f"follower-{next(_serial)}"
        log = Path(f"/var/log/limosa/{name}.out")
        argv = [*lab.limosa_argv(), "events", "--follow", "-f", "json", *options]
        self.process: Process = lab.controller.spawn(name, argv, log=log)
        self._log = lab.controller.seen_from_outside(log)
        self.wait_for("Listening to")

    def wait_for(self, text: str) -> None:
        observer.wait_until(
            lambda: text in self._output(), what=f"a follower says {text}", timeout_s=OUTPUT_TIMEOUT_S
        )

    def events(self) -> list[dict[str, Any]]:
        """What it has shown so far; sentences to a person are among the lines, but are no JSON."""
        *lines, _unfinished = self._output().split("\n")
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _output(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def types_of(self, migration: str) -> list[str]:
        """Of this migration, in the order in which they came."""
        return [
            event["event_type"]
            for event in self.events()
            if event["migration"] is not None and event["migration"]["id"] == migration
        ]

    def wait_for_end_of(self, migration: str) -> list[str]:
        """The types that it has shown of this migration, once one is its end."""
        observer.wait_until(
            lambda: "migration.completed" in self.types_of(migration),
            what=f"a follower shows the end of {migration}",
            timeout_s=OUTPUT_TIMEOUT_S,
        )
        return self.types_of(migration)

    def kill(self) -> None:
        self.process.send(signal.SIGKILL)
        assert self.process.wait_until_gone(timeout_s=OUTPUT_TIMEOUT_S)


@pytest.fixture
def follow(lab: Lab) -> Iterator[Callable[..., Follower]]:
    """Start a follower; all are killed at the end."""
    followers: list[Follower] = []

    def follow(*options: str) -> Follower:
        followers.append(Follower(lab, *options))
        return followers[-1]

    yield follow
    for follower in followers:
        if follower.process.is_alive():
            follower.kill()


def queues_of_followers(lab: Lab) -> set[str]:
    return {name for name in broker.queues(lab.controller, paths=lab.paths) if ".events." in name}


def test_two_followers_see_every_phase_of_a_migration_and_leave_no_queue(
    lab: Lab, guest_name: str, follow: Callable[..., Follower]
) -> None:
    first, second = follow("--type", "migration.*"), follow()
    assert len(queues_of_followers(lab)) == 2
    lab.guest_create(guest_name, "compute1")
    observer.wait_until_found(lab, guest_name)

    moved = observer.migrate(lab, guest_name, "compute2")

    assert first.wait_for_end_of(moved["id"]) == WAY_OF_A_MIGRATION
    *way, completed = second.wait_for_end_of(moved["id"])
    assert [*way, completed] == [*WAY_OF_A_MIGRATION[:-1], "instance.moved", WAY_OF_A_MIGRATION[-1]]
    last = second.events()[-1]
    assert last["at"] == moved["finished_at"]
    assert last["migration"]["figures"]["downtime_ms"] == moved["downtime_ms"]
    assert last["migration"]["figures"]["sent_bytes"] == moved["progress"]["statistics"]["memory_processed"]
    found = [event for event in second.events() if event["event_type"] == "instance.found"]
    assert [(event["instance_name"], event["instance_host"]) for event in found] == [(guest_name, "compute1")]

    first.kill()
    second.kill()
    observer.wait_until(lambda: not queues_of_followers(lab), what="the followers' queues are gone")


def test_events_come_again_after_the_broker_was_killed(
    lab: Lab, guest_name: str, follow: Callable[..., Follower]
) -> None:
    lab.guest_create(guest_name, "compute1")
    observer.wait_until_found(lab, guest_name)
    follower = follow()
    conductor = lab.process(Victim.CONDUCTOR)

    lab.kill(Victim.RABBITMQ)
    follower.wait_for("Events are missed until it is back.")
    lab.start(Victim.RABBITMQ)
    follower.wait_for("Listening again.")
    lab.wait_until_agents_are_up()
    moved = observer.migrate(lab, guest_name, "compute2")

    assert moved["status"] == "completed"
    assert lab.process(Victim.CONDUCTOR) == conductor
    shown = [word for word in follower.wait_for_end_of(moved["id"]) if word != "instance.moved"]
    assert shown == WAY_OF_A_MIGRATION


def test_ctrl_c_ends_a_follower_with_130_and_a_timeout_with_7(lab: Lab) -> None:
    follow = [*lab.limosa_argv(), "events", "--follow", "--instance", "nobody"]
    interrupted = lab.controller.run(
        ["timeout", "--preserve-status", "--signal=INT", "6", *follow], check=False
    )
    assert (interrupted.returncode, interrupted.stdout) == (130, "")
    assert "Traceback" not in interrupted.stderr

    ended = lab.limosa("events", "--follow", "--timeout", "1", "--instance", "nobody", check=False)
    assert (ended.returncode, ended.stdout) == (7, "")
    assert "0 events within 1 s." in ended.stderr


def test_a_broker_that_is_not_there_is_told_in_a_sentence(lab: Lab) -> None:
    elsewhere = "OS_DEFAULT__TRANSPORT_URL=rabbit://limosa:s3cret@controller:1/"
    refused = lab.controller.run(["env", elsewhere, *lab.limosa_argv(), "events", "--follow"], check=False)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(
        "The message bus rabbit://limosa:***@controller:1/ cannot be reached: controller:1:"
    )
    assert "s3cret" not in refused.stderr


def test_a_wrong_password_is_told_in_a_sentence(lab: Lab) -> None:
    wrong = "OS_DEFAULT__TRANSPORT_URL=rabbit://limosa:s3cret@controller:5671/"
    refused = lab.controller.run(["env", wrong, *lab.limosa_argv(), "events", "--follow"], check=False)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "refuses us: " in refused.stderr and "ACCESS_REFUSED" in refused.stderr
    assert "s3cret" not in refused.stderr
