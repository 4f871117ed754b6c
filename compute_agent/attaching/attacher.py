"""What is asked of whoever attaches a volume to this host, and how os-brick is asked."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from common.errors import LimosaError
from common.volumes import VolumeConnection
from compute_agent.errors import CommandError
from compute_agent.subprocesses import run_command

ATTACH_TIMEOUT_S: Final = 120.0  # os-brick scans several times, with pauses that grow
_PROGRAM: Final = (sys.executable, "-m", "compute_agent.attaching.program")


class AttachError(LimosaError):
    message = "{driver} volume {name} of disk {disk} could not be {action}ed: {reason}"
    hint = "Look at the volume's server and at this host's way there; os-brick comes with `pip install limosa[volumes]`."


class Attacher(Protocol):
    """Its methods are called from ordinary threads, are bounded, may be repeated, and raise AttachError."""

    def attach(self, volume: VolumeConnection, *, password: bytes | None = None) -> str:
        """The path of its block device on this host."""

    def detach(self, volume: VolumeConnection, path: str) -> None:
        """Flush it and let it go; `path` may be empty. Nothing happens where it is not attached."""


class BrickAttacher:
    """See `Attacher`."""

    def __init__(
        self, program: Sequence[str] = _PROGRAM, *, environment: Mapping[str, str] | None = None
    ) -> None:
        self._program = tuple(program)
        self._environment = environment

    def attach(self, volume: VolumeConnection, *, password: bytes | None = None) -> str:
        path = str(self._run("attach", volume, password=password).get("path", ""))
        if not path:
            raise _error(volume, "attach", "os-brick tells no path of it")
        return path

    def detach(self, volume: VolumeConnection, path: str) -> None:
        self._run("detach", volume, path=path)

    def _run(
        self, action: str, volume: VolumeConnection, *, path: str = "", password: bytes | None = None
    ) -> dict[str, Any]:
        question = {
            "action": action,
            "protocol": volume.driver.upper(),
            "properties": properties_of(volume, password=password),
            "path": path,
            "is_multipath": len(volume.servers) > 1,
        }
        try:
            finished = run_command(
                self._program,
                input_text=json.dumps(question),
                environment=self._environment,
                timeout_s=ATTACH_TIMEOUT_S,
            )
        except CommandError as error:
            raise _error(volume, action, str(error)) from error
        if finished.code != 0:
            raise _error(volume, action, finished.last_line)
        try:
            answer: dict[str, Any] = json.loads(finished.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError) as error:
            raise _error(volume, action, "os-brick's answer cannot be read") from error
        return answer


def properties_of(volume: VolumeConnection, *, password: bytes | None = None) -> dict[str, Any]:
    """os-brick's connection_properties. What is declared has the last word; a value that is JSON is read as such."""
    properties: dict[str, Any] = _iscsi(volume) if volume.driver == "iscsi" else {"name": volume.name}
    properties |= {key: _read(value) for key, value in volume.properties.items() if key != "user"}
    if password is not None:
        properties |= {"auth_method": "CHAP", "auth_username": volume.properties.get("user", "")}
        properties["auth_password"] = password.decode("utf-8", errors="surrogateescape")
    return properties


def _iscsi(volume: VolumeConnection) -> dict[str, Any]:
    target, _, lun = volume.name.partition("/")
    number = int(lun) if lun.isascii() and lun.isdecimal() else 0
    servers = list(volume.servers)
    one = {
        "target_discovered": False,
        "target_iqn": target,
        "target_portal": servers[0] if servers else "",
        "target_lun": number,
    }
    if len(servers) < 2:
        return one
    several = {"target_iqns": [target] * len(servers), "target_luns": [number] * len(servers)}
    return {**one, **several, "target_portals": servers}


def _read(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _error(volume: VolumeConnection, action: str, reason: str) -> AttachError:
    return AttachError(
        driver=volume.driver, name=volume.name, disk=volume.target, action=action, reason=reason
    )
