"""Long lists of values for statements with IN."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

IN_CLAUSE_MAX = 1_000  # values in one statement; every dialect takes as many

T = TypeVar("T")


def batches(values: Sequence[T]) -> Iterable[Sequence[T]]:
    """Slices that fit into one IN clause."""
    return (values[start : start + IN_CLAUSE_MAX] for start in range(0, len(values), IN_CLAUSE_MAX))
