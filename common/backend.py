"""Which concurrency backend is asked for: needed before anything else can be imported, so read by itself."""

import configparser
import os
from collections.abc import Sequence
from enum import StrEnum

BACKEND_VARIABLE = "LIMOSA_CONCURRENCY_BACKEND"
CONFIG_PATH = "/etc/limosa/limosa.conf"


class Backend(StrEnum):
    EVENTLET = "eventlet"
    THREADING = "threading"


def configured_backend(argv: Sequence[str]) -> Backend:
    """Which backend the environment, or the configuration file, asks for; eventlet if neither does.

    This is needed before the configuration can be read properly (oslo.config imports what is to be patched), so it
    looks into the files by itself. `config.validate` compares afterwards. An unknown word is left to that, too.
    """
    word = os.environ.get(BACKEND_VARIABLE) or _word_in_files(config_files(argv))
    return Backend(word) if word in set(Backend) else Backend.EVENTLET


def config_files(argv: Sequence[str]) -> list[str]:
    """The files that the command line names, or the one of /etc."""
    files = [
        argument.partition("=")[2] or following
        for argument, following in zip(argv, [*argv, ""][1:], strict=True)
        if argument.partition("=")[0] == "--config-file"
    ]
    return files or [CONFIG_PATH]


def _word_in_files(paths: list[str]) -> str:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read(paths, encoding="utf-8")
    except (OSError, configparser.Error, UnicodeDecodeError):
        return ""  # reported properly when the configuration is loaded
    return parser.defaults().get("concurrency_backend") or ""
