"""Guests with parts that no check has met: found and shown, and moved or refused in a sentence."""

import json
from collections.abc import Iterator

import pytest

from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import observer, odd_domains

REFUSED = 4
DEFINED = "odd-defined"
ODD = "odd"


@pytest.fixture
def boot_id(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A guest with further devices, given by indirect parameter."""
    first = lab.guest_create(ODD, "compute1", GuestOptions(devices=request.param))
    observer.wait_until_found(lab, ODD)
    yield first.boot_id
    lab.guest_delete(ODD)


@pytest.fixture
def defined(lab: Lab) -> Iterator[str]:
    lab.host("compute1").run(["virsh", "-q", "define", "/dev/stdin"], input_text=odd_domains.DEFINED_ONLY)
    observer.wait_until_found(lab, DEFINED)
    yield DEFINED
    lab.virsh("compute1", "undefine", "--keep-nvram", DEFINED)
    observer.wait_until(lambda: not observer.is_found(lab, DEFINED), what="it is forgotten", timeout_s=20)


def tracebacks(lab: Lab) -> int:
    logs = [lab.log(host, "limosa-compute-agent") for host in lab.compute_hosts]
    logs.append(lab.log("controller", "limosa-conductor"))
    return sum(log.read_text().count("Traceback") for log in logs)


@pytest.fixture(autouse=True)
def no_service_stumbles(lab: Lab) -> Iterator[None]:
    before = tracebacks(lab)
    yield
    assert tracebacks(lab) == before


def test_what_cannot_be_started_here_is_found_shown_checked_and_not_moved(lab: Lab, defined: str) -> None:
    before = lab.virsh("compute1", "dumpxml", defined)

    shown = json.loads(lab.limosa("show", defined, "-f", "json").stdout)
    checked = lab.limosa("check", defined, "compute2", "-f", "json", check=False)
    refused = lab.limosa("live-migration", defined, "compute2", check=False)

    assert (shown["name"], shown["host"], shown["power_state"]) == (defined, "compute1", "shutoff")
    assert (refused.returncode, "Traceback" in refused.stderr) == (REFUSED, False)
    assert "only a running or paused guest migrates live" in refused.stderr
    assert (checked.returncode, "Traceback" in checked.stderr) == (REFUSED, False)
    [row] = json.loads(checked.stdout)
    codes = {finding["code"] for finding in row["findings"]}
    assert {"secret_missing", "network_missing", "nwfilter_missing", "disk_not_provable"} <= codes
    assert "check_failed" not in codes, "no check stumbles over what it does not know"
    assert lab.virsh("compute1", "dumpxml", defined) == before
    assert observer.residue(lab) == observer.NOTHING


@pytest.mark.parametrize("boot_id", [odd_domains.MOVABLE_DEVICES], ids=["movable"], indirect=True)
def test_devices_that_limosa_does_not_know_move_with_their_guest(lab: Lab, boot_id: str) -> None:
    lab.virsh("compute1", "iothreadadd", ODD, "1", "--live", "--config")

    assert observer.migrate(lab, ODD, "compute2")["status"] == "completed"

    after = lab.virsh("compute2", "dumpxml", ODD)
    for part in ("<watchdog", "<rng", "<panic", "<sound", "<channel", "device='cdrom'", "<iothreads>1<"):
        assert part in after
    observer.assert_one_guest(lab, ODD, host="compute2", boot_id=boot_id)
