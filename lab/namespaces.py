"""One host's namespaces, held by their pid 1 (lab/init.py), and commands run inside them."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import LabError, last_lines
from lab.paths import CHECKOUT, PID_DIRECTORY, PYTHON, SOURCES, LabPaths
from lab.processes import Process, processes_in_pid_namespace

START_TIMEOUT_S = 20.0
COMMAND_TIMEOUT_S = 120.0
KILL_TIMEOUT_S = 10.0
PID_FILE_TIMEOUT_S = 2.0
POLL_INTERVAL_S = 0.02

# What a service sees of the environment: nothing of the user's shell.
CLEAN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
    "TMPDIR": "/run",
    "XDG_CACHE_HOME": "/run/cache",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceSpec:
    """What a host is made of, before it runs."""

    name: str
    owner_pid: int | None = None
    has_own_mounts: bool = True  # its own /run, /etc, /var, /srv, /proc and /sys
    tree: Path | None = (
        None  # stand on this root file system, which is only read; on the machine's own if None
    )
    mounts_of: Process | None = None  # start with what this process sees mounted, not with the machine's
    binds: Sequence[tuple[Path, Path]] = ()  # (source outside, target inside)
    sysctl: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[Sequence[str]] = ()  # run by pid 1 when the mounts are made


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespaces:
    """A running host, seen from outside."""

    name: str
    init: Process

    @classmethod
    def start(cls, spec: NamespaceSpec, *, paths: LabPaths) -> "Namespaces":
        """Start pid 1 and return when the host's mounts are made. Its network is still empty."""
        spec_file = paths.host(spec.name) / "init.json"
        spec_file.write_text(json.dumps(_as_json(spec), indent=1))
        enter = ["nsenter", "--target", str(spec.mounts_of.pid), "--mount", "--"] if spec.mounts_of else []
        try:
            done = subprocess.run(
                [*enter, PYTHON, "-I", "-S", str(SOURCES / "init.py"), str(spec_file)],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                env=CLEAN_ENVIRONMENT,
                timeout=START_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as e:
            raise LabError(f"{spec.name}: its namespaces did not stand after {START_TIMEOUT_S:.0f} s") from e
        if done.returncode != 0:
            raise LabError(f"{spec.name}: the namespaces could not be made", hint=last_lines(done.stderr))
        return cls(name=spec.name, init=Process.of(json.loads(done.stdout)["pid"]))

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs argv inside. What libraries cache (stevedore) stays inside too."""
        namespaces = ["--net", "--mount", "--uts", "--pid", "--ipc"]
        enter = ["nsenter", "--target", str(self.init.pid), *namespaces, "--"]
        return [*enter, "env", f"XDG_CACHE_HOME={CLEAN_ENVIRONMENT['XDG_CACHE_HOME']}", *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input_text: str | None = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end and capture what it prints."""
        child = subprocess.Popen(
            self.command(argv),
            stdin=subprocess.DEVNULL if input_text is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            stdout, stderr = child.communicate(input_text, timeout=timeout_s)
        except subprocess.TimeoutExpired as e:
            os.killpg(child.pid, signal.SIGKILL)  # nsenter and what it started
            child.communicate()
            raise LabError(f"{self.name}: {' '.join(argv)}: no end after {timeout_s:.0f} s") from e
        if check and child.returncode != 0:
            raise LabError(
                f"{self.name}: {' '.join(argv)}: exit code {child.returncode}",
                hint=last_lines(stderr or stdout),
            )
        return subprocess.CompletedProcess(argv, child.returncode, stdout, stderr)

    def spawn(
        self, service: str, argv: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> Process:
        """Start a daemon inside, as a child of the host's pid 1; its output is appended to log (seen inside)."""
        pid_file = PID_DIRECTORY / f"{service}.pid"
        self.seen_from_outside(pid_file).unlink(missing_ok=True)
        script = 'mkdir -p "${1%/*}"; echo $$ >"$1"; log=$2; shift 2; exec "$@" >>"$log" 2>&1 </dev/null'
        subprocess.run(
            self.command(["setsid", "--fork", "/bin/sh", "-c", script, "sh", str(pid_file), str(log), *argv]),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**CLEAN_ENVIRONMENT, **(environment or {})},
            cwd="/",
        )
        process = self.processes().get(self._wait_for_pid(pid_file))
        if process is None:
            raise LabError(f"{self.name}: {service} ended at once", hint=f"see {log} of that host")
        self._record_of(service).write_text(json.dumps(asdict(process)))
        return process

    def spawned(self, service: str) -> Process:
        """Return the process that spawn() started last under this name; raises LabError when it is gone."""
        try:
            process = Process(**json.loads(self._record_of(service).read_text()))
        except FileNotFoundError as e:
            raise LabError(f"{self.name}: {service} was never started") from e
        if not process.is_alive():
            raise LabError(f"{self.name}: {service} is not running")
        return process

    def processes(self) -> dict[int, Process]:
        """Return all processes of the host by their pid inside it."""
        return processes_in_pid_namespace(self.init.pid)

    def seen_from_outside(self, path: Path) -> Path:
        """Return where the host's file can be reached from outside, mounts of the host included."""
        return Path(f"/proc/{self.init.pid}/root") / path.relative_to("/")

    def destroy(self) -> None:
        """Kill the host's pid 1 and wait until nothing of the host is left."""
        rest = list(self.processes().values()) if self.init.is_alive() else []
        with contextlib.suppress(LabError):
            self.init.send(signal.SIGKILL)
        for process in [self.init, *rest]:
            if not process.wait_until_gone(timeout_s=KILL_TIMEOUT_S):
                raise LabError(
                    f"{self.name}: process {process.pid} survived SIGKILL for {KILL_TIMEOUT_S:.0f} s",
                    hint="it probably hangs in the kernel: see /proc/PID/stack",
                )

    def _record_of(self, service: str) -> Path:
        # In the host's own /run: it goes with the host.
        return self.seen_from_outside(PID_DIRECTORY / f"{service}.json")

    def _wait_for_pid(self, pid_file: Path) -> int:
        deadline = time.monotonic() + PID_FILE_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError, ValueError):
                return int(self.seen_from_outside(pid_file).read_text())
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: {pid_file} was not written within {PID_FILE_TIMEOUT_S:g} s")
            time.sleep(POLL_INTERVAL_S)


def _as_json(spec: NamespaceSpec) -> dict[str, Any]:
    return {
        "hostname": spec.name,
        "owner_pid": spec.owner_pid,
        "has_own_mounts": spec.has_own_mounts,
        "tree": str(spec.tree) if spec.tree else None,
        "checkout": str(CHECKOUT),
        "binds": [[str(source), str(target)] for source, target in spec.binds],
        "sysctl": dict(spec.sysctl),
        "commands": [list(command) for command in spec.commands],
    }
