"""The one door to other programs on a controller: those that manage RabbitMQ."""

import subprocess
from typing import Final

from common.errors import LimosaError

TIMEOUT_S: Final = 420.0  # longer than rabbitmqctl waits for a node that starts
ERROR_MAX_CHARACTERS: Final = 400


class ProgramFailedError(LimosaError):
    message = "`{program}` failed: {reason}."
    hint = "Look whether RabbitMQ runs (systemctl status rabbitmq-server), then run this again."


def run(*argv: str, given: str = "") -> str:
    """What it prints; `given` is its standard input. Raises ProgramFailedError."""
    program = " ".join(argv)
    try:
        done = subprocess.run(
            argv,
            input=given,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            errors="replace",
        )
    except OSError as error:
        raise ProgramFailedError(program=program, reason=error.strerror or str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise ProgramFailedError(program=program, reason=f"no end within {TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-ERROR_MAX_CHARACTERS:]
        raise ProgramFailedError(program=program, reason=said.rstrip(".") or f"exit code {done.returncode}")
    return done.stdout
