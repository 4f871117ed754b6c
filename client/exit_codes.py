"""What the exit status of `limosa` says; scripts decide by it, so a number never changes its meaning."""

from enum import IntEnum

from common.checks import refusing
from common.states import MigrationStatus, Verb
from common.views import MigrationView


class ExitCode(IntEnum):
    """The errors of `common.errors` carry theirs themselves."""

    OK = 0  # completed; of a request: accepted
    ERROR = 1  # any other error; of a migration: an operator must act
    USAGE = 2  # arguments or configuration
    NOT_FOUND = 3
    REFUSED = 4  # checks refuse, nothing was changed
    FAILED = 5  # the guest is healthy on its source, everything is undone
    UNKNOWN = 6  # the outcome is not known yet; the conductors find it out
    STILL_RUNNING = 7  # --timeout passed
    ABORTED = 8  # by an operator; the guest is healthy on its source
    NOT_PERMITTED = 9
    INTERRUPTED = 130  # Ctrl-C: only the watching ended (128 + SIGINT, as shells have it)


def of_final(view: MigrationView) -> ExitCode:
    """The exit code of a migration whose status is final."""
    match view.status:
        case MigrationStatus.COMPLETED:
            return ExitCode.OK
        case MigrationStatus.CANCELLED:
            return ExitCode.ABORTED
        case MigrationStatus.FAILED:
            return ExitCode.REFUSED if was_refused(view) else ExitCode.FAILED
        case _:
            return ExitCode.ERROR


def was_refused(view: MigrationView) -> bool:
    """Tell a migration that checks refused from one that was tried and failed.

    A migration may go on with the next candidate after a refusal and fail later, findings and all: one that was
    refused never came to pre_live_migration, the first step that changes anything.
    """
    return bool(refusing(view.findings)) and all(step.step != Verb.PRE for step in view.steps)
