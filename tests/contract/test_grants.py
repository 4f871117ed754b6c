"""Every driver of grants over what it really asks: tgtd on the loopback device, and an operator's command."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.volumes import VolumeConnection
from compute_agent.grants import Access, driver_of
from compute_agent.grants.driver import GrantDriver, GrantError
from compute_agent.subprocesses import run_command
from compute_agent.volume_settings import VolumeSettings
from lab.waiting import wait_until

TARGET, OTHER = "iqn.2026-01.example:t", "iqn.2026-01.example:u"
HOST = "iqn.2026-01.example:compute2"
INSTANCE = "9b77af9f-482a-4f4c-85a2-71c2c1833cc5"
COMMAND = """#!/usr/bin/python3 -I
import json, pathlib, sys
question = json.load(sys.stdin)
kept = pathlib.Path(__file__).with_name("granted")
granted = set(kept.read_text().split()) if kept.exists() else set()
volume = question["volume"]["name"]
if volume.startswith("nowhere"):
    sys.exit("there is no such volume")
was_so = (volume in granted) == (question["action"] == "grant")
granted ^= {volume} if not was_so else set()
kept.write_text(" ".join(granted))
sys.exit(10 if was_so else 0)
"""


def access(export: str = TARGET) -> Access:
    volume = VolumeConnection(target="vda", driver="iscsi", name=f"{export}/1", servers=("127.0.0.1:3260",))
    return Access(host="compute2", instance=INSTANCE, volume=volume, initiator=HOST)


class Tgtd:
    """One of its own, with two targets."""

    def __init__(self, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.environment = {**os.environ, "TGT_IPC_SOCKET": str(directory / "tgtd")}
        portal = f"portal=127.0.0.1:{self.port}"
        argv = ["/usr/sbin/tgtd", "--foreground", "--control-port", "1", "--iscsi", portal]
        self.process = subprocess.Popen(
            argv, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.command = f"/usr/bin/env TGT_IPC_SOCKET={directory / 'tgtd'} tgtadm --control-port 1"
        disk = directory / "disk"
        disk.write_bytes(bytes(1024 * 1024))
        wait_until(lambda: self.run("show", "target") == 0, what="tgtd answers", timeout_s=10)
        for tid, name in (("1", OTHER), ("2", TARGET)):
            assert self.run("new", "target", "--tid", tid, "--targetname", name) == 0
            assert (
                self.run("new", "logicalunit", "--tid", tid, "--lun", "1", "--backing-store", str(disk)) == 0
            )

    def run(self, operation: str, mode: str, *words: str) -> int:
        argv = [*self.command.split(), "--lld", "iscsi", "--op", operation, "--mode", mode, *words]
        return run_command(argv).code

    def shown(self) -> str:
        return run_command(
            [*self.command.split(), "--lld", "iscsi", "--op", "show", "--mode", "target"]
        ).stdout

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@pytest.fixture
def tgtd(tmp_path: Path) -> Iterator[Tgtd]:
    tgtd = Tgtd(tmp_path)
    yield tgtd
    tgtd.stop()


@pytest.fixture(params=["tgtd", "exec"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> GrantDriver:
    if request.param == "tgtd":
        tgtd = request.getfixturevalue("tgtd")
        return driver_of(VolumeSettings(grants="tgtd", tgtadm=tuple(tgtd.command.split())))
    command = tmp_path / "grants"
    command.write_text(COMMAND)
    command.chmod(0o755)
    return driver_of(VolumeSettings(grants="exec", grants_command=str(command)))


def test_access_is_given_once_and_taken_once(driver: GrantDriver) -> None:
    assert driver.concerns(access())
    assert [driver.grant(access()), driver.grant(access())] == [True, False]
    driver.withdraw(access())
    driver.withdraw(access())
    assert driver.grant(access())


def test_grants_of_two_volumes_are_apart(driver: GrantDriver) -> None:
    driver.grant(access(TARGET))
    driver.grant(access(OTHER))
    driver.withdraw(access(TARGET))
    assert not driver.grant(access(OTHER))


def test_a_volume_that_nobody_knows_is_an_error_with_its_reason(driver: GrantDriver) -> None:
    with pytest.raises(GrantError, match="no such"):
        driver.grant(access("nowhere"))


def test_a_session_is_ended_with_the_access(tgtd: Tgtd) -> None:
    driver = driver_of(VolumeSettings(grants="tgtd", tgtadm=tuple(tgtd.command.split())))
    driver.grant(access())
    url = f"iscsi://127.0.0.1:{tgtd.port}/{TARGET}/1"
    reader = subprocess.Popen(
        ["qemu-io", "-r", json_of(tgtd.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_until(lambda: HOST in sessions(tgtd), what=f"{url} is open", timeout_s=20)
        driver.withdraw(access())
        assert HOST not in tgtd.shown()
    finally:
        reader.kill()
        reader.communicate()


def test_a_program_that_is_not_there_is_an_error() -> None:
    driver = driver_of(VolumeSettings(grants="tgtd", tgtadm=("/no/such/tgtadm",)))
    with pytest.raises(GrantError, match="/no/such/tgtadm"):
        driver.grant(access())


def json_of(port: int) -> str:
    options = {
        "driver": "raw",
        "file": {
            "driver": "iscsi",
            "transport": "tcp",
            "portal": f"127.0.0.1:{port}",
            "target": TARGET,
            "lun": 1,
            "initiator-name": HOST,
        },
    }
    return f"json:{json.dumps(options)}"


def sessions(tgtd: Tgtd) -> str:
    return tgtd.shown().partition(f": {TARGET}")[2].partition("LUN information")[0]
