"""Ask families of questions beside each other, each bounded, none of them able to hide what the others say."""

import time
from collections.abc import Callable, Iterable, Sequence

from common import concurrency
from common.diagnosis import Diagnosis, Question
from compute_agent.checks.running import failure
from compute_agent.doctor.look import Family, HostLook

FAMILIES_TIMEOUT_S = 15.0  # in all; less than a conductor waits for the host

Asked = tuple[Question, Callable[[], Iterable[Diagnosis]]]


def ask(families: Sequence[Family], look: HostLook) -> tuple[Diagnosis, ...]:
    """All answers, in the order of the families. One that breaks or does not end is told as `check_failed`."""

    def bound(family: Family) -> Asked:
        return family.question, lambda: family.answer(look)

    return ask_all([bound(family) for family in families], host=look.host)


def ask_all(
    asked: Sequence[Asked], *, host: str, peer: str = "", timeout_s: float = FAMILIES_TIMEOUT_S
) -> tuple[Diagnosis, ...]:
    deadline = time.monotonic() + timeout_s
    tasks = [(question, concurrency.spawn(_answers, answer)) for question, answer in asked]
    diagnoses: list[Diagnosis] = []
    for question, task in tasks:
        try:
            diagnoses += task.wait(max(0.0, deadline - time.monotonic()))
        except Exception as error:  # noqa: BLE001 (the edge of all of them: the others must still be told)
            broken = failure(question.word, error, host=host).findings
            diagnoses += question.all_found(broken, host=host, peer=peer)
    return tuple(diagnoses)


def _answers(answer: Callable[[], Iterable[Diagnosis]]) -> tuple[Diagnosis, ...]:
    return tuple(answer())
