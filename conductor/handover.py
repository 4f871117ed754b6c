"""What both hosts have seen of a guest's network put together; pure."""

from common.transfer import Handover
from conductor.saga import Saga


def joined(dest: Handover | None, source: Handover | None) -> Handover | None:
    """Verified only if both have seen their part; None if there is nothing to be seen. The gap is the source's."""
    if dest is None and source is None:
        return None
    parts = [part for part in (dest, source) if part is not None]
    silent = [host for host, part in (("the dest", dest), ("the source", source)) if part is None]
    details = [part.detail for part in parts if part.detail]
    return Handover(
        is_verified=not silent and all(part.is_verified for part in parts),
        gap_ms=None if source is None else source.gap_ms,
        detail="; ".join((*details, *(f"{host} has seen nothing of it" for host in silent))),
    )


def story(saga: Saga) -> str:
    """A sentence for the journal; empty if there is nothing to tell."""
    handover = saga.handover
    if handover is None:
        return ""
    gap = "" if handover.gap_ms is None else f" after {handover.gap_ms} ms without an answer"
    if handover.is_verified:
        return f"its network finds the guest on {saga.dest}{gap}"
    return f"it was not verified that its network finds the guest on {saga.dest}{gap}: {handover.detail}"


def gap_ms(saga: Saga) -> int | None:
    """None: not measured, or not yet."""
    return None if saga.handover is None else saga.handover.gap_ms


def is_verified(saga: Saga) -> bool | None:
    """None: there is nothing to be seen, or both hosts have not told yet."""
    return None if saga.handover is None or saga.is_open else saga.handover.is_verified
