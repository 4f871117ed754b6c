"""A host that somebody has taken over, and what stays closed to him: the broker's rights, and the proofs behind them."""

import json
import sys
from pathlib import Path

import pytest

from lab.lab import Lab
from lab.paths import CHECKOUT
from lab.services import CONFIG_FILE
from tests.lab import observer
from tests.lab.messages import LOGS, captured_messages

INTRUDER = Path(__file__).parent / "intruder.py"
REPLAY = Path(__file__).parent / "replay.py"
SENT = ("speak as another host", "speak as an administrator")


@pytest.fixture(scope="module")
def told(lab: Lab) -> dict[str, str]:
    done = lab.exec("compute1", in_checkout(INTRUDER, str(CONFIG_FILE)))
    answers: dict[str, str] = json.loads(done.stdout)
    return answers


def in_checkout(program: Path, *words: str) -> list[str]:
    return ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, str(program), *words]


def test_no_queue_and_no_exchange_but_its_own_way_is_open(lab: Lab, told: dict[str, str]) -> None:
    open_ways = {what for what, became in told.items() if became != "refused"} - set(SENT)

    assert open_ways == set()
    assert lab.limosa("service", "list").returncode == 0, "and nobody else has noticed"


def test_the_broker_s_log_names_the_user_who_tried(lab: Lab, told: dict[str, str]) -> None:
    log = (lab.paths.host("controller") / "rabbitmq/log/rabbitmq.log").read_text()

    assert "refused for user 'limosa-host-compute1'" in log


@pytest.mark.parametrize("signer", ["host:compute2", "administrator:admin"])
def test_a_message_in_another_s_name_is_rejected_and_audited(
    lab: Lab, told: dict[str, str], signer: str
) -> None:
    lines = json.loads(lab.limosa("audit", "list", "-f", "json", "--result", "rejected").stdout)

    assert signer in {line["signer"] for line in lines}


def test_old_commands_put_into_a_host_s_queue_again_move_nothing(lab: Lab, guest_name: str) -> None:
    """Not even somebody whom the broker lets do everything, who has kept whole migrations, moves a guest by that."""
    boot_id = lab.guest_create(guest_name, "compute1").boot_id
    observer.wait_until_found(lab, guest_name)
    with captured_messages(lab) as capture:
        there = observer.migrate(lab, guest_name, "compute2")
        back = observer.migrate(lab, guest_name, "compute1")
    assert (there["status"], back["status"]) == ("completed", "completed")
    before = observer.query(lab, "SELECT count(*) FROM journal")

    commands = LOGS / "commands.jsonl"
    lab.controller.seen_from_outside(commands).write_text(capture.read_text())
    url = lab.transport_url.replace("rabbit://", "amqp://")
    done = lab.controller.run(in_checkout(REPLAY, url, str(commands)))

    assert int(done.stdout) >= 10, "the commands of two migrations, to both hosts"
    observer.assert_one_guest(lab, guest_name, host="compute1", boot_id=boot_id)
    assert observer.query(lab, "SELECT count(*) FROM journal") == before
    assert observer.migrate(lab, guest_name, "compute2")["status"] == "completed"
