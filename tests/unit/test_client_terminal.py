"""`limosa` in a real terminal: a process of its own whose stderr, and whose Ctrl-C, is a pseudo-terminal's."""

import os
import pty
import re
import select
import signal
import sys
from pathlib import Path

import pytest

from client.exit_codes import ExitCode
from tests.fakes.conductor import MIGRATION

ROOT = Path(__file__).parents[2]
SILENT_MAX_S = 30.0  # the bar ticks several times a second
WIDTH = 80
ERASE_LINE = "\x1b[2K"
COLOURED = re.compile(r"\x1b\[[0-9;]*m")

MOVING = """
import sys, time
from client import connection, shell
from tests.fakes.terminal import moving
connection.connect = lambda files: moving(is_endless={is_endless})
sys.exit(shell.main({argv}))
"""


class Terminal:
    """A run of `limosa live-migration web1` under a terminal; stdout goes to a file, as of a person who keeps it."""

    def __init__(self, tmp_path: Path, *argv: str, is_endless: bool = False, **environment: str) -> None:
        self.written = ""
        self._stdout = tmp_path / "stdout"
        program = MOVING.format(is_endless=is_endless, argv=["live-migration", "web1", "-f", "json", *argv])
        self._pid, self._fd = pty.fork()
        if self._pid == 0:  # the child: nothing of pytest's may run here
            try:
                self._become(program, environment)
            finally:
                os._exit(99)

    def _become(self, program: str, environment: dict[str, str]) -> None:
        os.chdir(ROOT)
        os.dup2(os.open(self._stdout, os.O_WRONLY | os.O_CREAT, 0o600), 1)
        kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
        settings = {"TERM": "xterm-256color", "COLUMNS": str(WIDTH), "PYTHONPATH": str(ROOT), **environment}
        os.execve(sys.executable, [sys.executable, "-c", program], {**kept, **settings})

    @property
    def stdout(self) -> str:
        return self._stdout.read_text()

    def read_until(self, words: str) -> None:
        while words not in self.written:
            assert self._read(), self.written

    def press_ctrl_c(self) -> None:
        os.write(self._fd, b"\x03")

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self) -> bool:
        """Wait for more; whether there was any."""
        if not select.select([self._fd], [], [], SILENT_MAX_S)[0]:
            os.kill(self._pid, signal.SIGKILL)
            raise AssertionError(f"still running, and silent: {self.written}")
        try:
            data = os.read(self._fd, 65_536)
        except OSError:  # Linux's way to say that nobody has the other end any more
            return False
        self.written += data.decode()
        return bool(data)


def test_the_bar_goes_forward_only_and_one_sentence_ends_it(tmp_path):
    terminal = Terminal(tmp_path)
    assert terminal.end() == ExitCode.OK

    percentages = [int(number) for number in re.findall(r"(\d+)%", terminal.written)]
    assert percentages == sorted(percentages)
    assert percentages[-1] == 100
    assert len(set(percentages)) >= 4
    for words in ("checking compute2", "moving to compute2", "completing on compute2"):
        assert f"web1: {words}" in terminal.written, words
    assert "pass 2, 12 MiB left, 41.0 MiB/s, dirtying 9.0 MiB/s, ETA 1 s" in terminal.written
    last_line = terminal.written.rstrip().splitlines()[-1]
    assert last_line.endswith(
        "web1 moved from compute1 to compute2 in 2.3 s, downtime 87 ms, 104 MiB sent, 4 passes, 41.0 MiB/s."
    )
    assert ERASE_LINE not in terminal.stdout
    assert '"status": "completed"' in terminal.stdout


def test_no_line_of_the_bar_is_wider_than_the_terminal(tmp_path):
    terminal = Terminal(tmp_path)
    terminal.end()

    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.written)
    lines = [line for line in re.split(r"[\r\n]+", drawn) if "%" in line or "MiB left" in line]
    assert lines
    assert max(map(len, lines)) <= WIDTH


@pytest.mark.parametrize("no_color", ["", "1"])
def test_colours_are_shown_unless_no_color_is_set(tmp_path, no_color):
    terminal = Terminal(tmp_path, **({"NO_COLOR": no_color} if no_color else {}))
    assert terminal.end() == ExitCode.OK

    coloured = any(re.search(r"\b[39]\d|38;", code) for code in COLOURED.findall(terminal.written))
    assert coloured is (no_color == "")
    assert "100%" in terminal.written  # the bar itself is there either way


def test_ctrl_c_stops_watching_and_says_how_to_abort(tmp_path):
    terminal = Terminal(tmp_path, is_endless=True)
    terminal.read_until("MiB left")

    terminal.press_ctrl_c()

    assert terminal.end() == ExitCode.INTERRUPTED
    assert f"Stopped watching; migration {MIGRATION} of web1 goes on." in terminal.written
    assert f"`limosa migration abort {MIGRATION}` aborts it." in terminal.written
    assert "Traceback" not in terminal.written
    assert '"status": "running"' in terminal.stdout


def test_quiet_draws_nothing_even_on_a_terminal(tmp_path):
    terminal = Terminal(tmp_path, "-q")
    code = terminal.end()

    assert code == ExitCode.OK
    assert terminal.written == ""
