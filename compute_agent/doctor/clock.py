"""Whether something keeps this host's clock: the kernel knows, whoever it is (chrony, timesyncd, ntpd)."""

import ctypes
from collections.abc import Iterator

from common.diagnosis import Diagnosis
from common.doctor_checks import CLOCK_LOOSE
from common.doctor_questions import CLOCK
from compute_agent.doctor.look import HostLook

_TIMEX_BYTES = 512  # struct timex has 208 of them; all zero, it changes nothing
_TIME_ERROR = 5  # adjtimex(2): "The system clock is not synchronized to a reliable server"


def answer_clock(look: HostLook) -> Iterator[Diagnosis]:
    if is_kept():
        yield CLOCK.passed("The clock is kept.", host=look.host)
    else:
        yield CLOCK.found(CLOCK_LOOSE.finding(look.host), host=look.host)


def is_kept() -> bool:
    """Raises OSError where the kernel does not tell (a container may not ask)."""
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    return bool(state != _TIME_ERROR)
