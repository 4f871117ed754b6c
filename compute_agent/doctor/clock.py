"""Whether something keeps this host's clock: systemd asks the kernel, whoever it is (chrony, timesyncd, ntpd).

Not asked of the kernel itself: the agent's unit keeps it from every call about clocks.
"""

from collections.abc import Iterator

from common.diagnosis import Diagnosis
from common.doctor_checks import CLOCK_LOOSE
from common.doctor_questions import CLOCK
from compute_agent.doctor.look import HostLook
from compute_agent.errors import CommandError
from compute_agent.subprocesses import run_command

ASK_TIMEOUT_S = 5.0
_WORDS = {"yes": True, "no": False}


def answer_clock(look: HostLook) -> Iterator[Diagnosis]:
    is_synchronized = is_kept()
    if is_synchronized is None:
        yield CLOCK.passed("Who keeps the clock is not told here.", host=look.host)
    elif is_synchronized:
        yield CLOCK.passed("The clock is kept.", host=look.host)
    else:
        yield CLOCK.found(CLOCK_LOOSE.finding(look.host), host=look.host)


def is_kept() -> bool | None:
    """None where it is not told: no systemd, or none that answers."""
    argv = ("timedatectl", "show", "--property=NTPSynchronized", "--value")
    try:
        return _WORDS.get(run_command(argv, timeout_s=ASK_TIMEOUT_S).stdout.strip())
    except CommandError:
        return None
