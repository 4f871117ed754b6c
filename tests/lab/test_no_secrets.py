"""Whole domain XML holds secrets: it never travels through the queue, and is kept in no database, journal or log."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import broker
from lab.guest.domain import DESCRIPTION
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import observer

PASSWORD = "s3cr3tvn"  # VNC knows eight characters
MARKERS = (PASSWORD, DESCRIPTION, "<domain", "<devices>")
LOGS = Path("/var/log/limosa")
CAPTURE = Path(__file__).parent / "capture.py"


@contextmanager
def captured_messages(lab: Lab) -> Iterator[Path]:
    """A file with all that goes through the broker meanwhile."""
    messages, output = LOGS / "captured.jsonl", LOGS / "capture.out"
    url = lab.transport_url.replace("rabbit://", "amqp://")
    broker.trace(lab.controller, is_on=True, paths=lab.paths)
    capture = lab.controller.spawn("capture", [sys.executable, str(CAPTURE), url, str(messages)], log=output)
    try:
        said = lab.controller.seen_from_outside(output)
        observer.wait_until(
            lambda: "listening" in said.read_text(), what="messages are captured", timeout_s=20
        )
        yield lab.controller.seen_from_outside(messages)
    finally:
        capture.send(signal.SIGKILL)
        broker.trace(lab.controller, is_on=False, paths=lab.paths)


def test_a_password_in_the_xml_is_nowhere_but_at_libvirt(lab: Lab, guest_name: str) -> None:
    options = GuestOptions(has_vnc=True, vnc_password=PASSWORD)
    with captured_messages(lab) as capture:
        lab.guest_create(guest_name, "compute1", options)
        observer.wait_until_found(lab, guest_name)
        done = lab.limosa("live-migration", guest_name, "compute2", "-f", "json")
        migration = json.loads(done.stdout)["id"]
        lab.limosa("check", guest_name, "compute1", check=False)
        lab.limosa("migration", "log", migration)
        lab.limosa("show", guest_name)
    assert PASSWORD in lab.virsh("compute2", "dumpxml", "--security-info", guest_name)

    messages = [json.loads(line) for line in capture.read_text().splitlines()]
    assert any("limosa-compute.compute2" in message["key"] for message in messages), "nothing was captured"
    assert any(guest_name in message["body"] for message in messages), "the messages cannot be read"
    assert_free_of_markers({message["key"]: message["body"] for message in messages})
    database = observer.database(lab)
    files = [*database.parent.glob(f"{database.name}*"), *logs(lab)]
    assert len(files) >= 4
    assert_free_of_markers({str(path): path.read_bytes().decode(errors="replace") for path in files})


def logs(lab: Lab) -> list[Path]:
    found = [lab.log("controller", "limosa-conductor")]
    found += [lab.log(host, "limosa-compute-agent") for host in lab.compute_hosts]
    assert all(path.stat().st_size for path in found)
    return found


def assert_free_of_markers(texts: dict[str, str]) -> None:
    for where, text in texts.items():
        for marker in MARKERS:
            assert marker not in text, f"{marker!r} is in {where}"
