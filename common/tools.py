"""The frame of a command that is run by hand beside a service: sentences instead of tracebacks, exit codes of errors."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from common.errors import LimosaError, describe_os_error

if TYPE_CHECKING:
    from oslo_config import cfg

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


def add_config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config-file", metavar="FILE", action="append", default=[], help="default /etc/limosa/limosa.conf"
    )


def configuration(arguments: argparse.Namespace) -> "cfg.ConfigOpts":
    """What the command's --config-file says; raises ConfigurationError."""
    from common import config

    files = [word for path in arguments.config_file for word in ("--config-file", path)]
    return config.load(files, service="tool")
