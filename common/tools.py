"""The frame of a command that is run by hand beside a service: sentences instead of tracebacks, exit codes of errors."""

import sys
from collections.abc import Callable, Sequence

from common.errors import LimosaError, describe_os_error

INTERRUPTED = 130  # as shells have it


def is_command(argv: Sequence[str]) -> bool:
    """Whether a command of a service's program, or its help, is asked for, rather than the service itself."""
    return any(word in ("-h", "--help") or not word.startswith("-") for word in argv[:1])


def run(command: Callable[[], object]) -> int:
    """Run it; the process's exit code."""
    try:
        command()
    except LimosaError as error:
        print(" ".join(filter(None, (str(error), error.advice))), file=sys.stderr)  # noqa: T201 (to a person)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        print(describe_os_error(error), file=sys.stderr)  # noqa: T201
        return 1
    return 0


def say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201
