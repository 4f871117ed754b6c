"""Who asked, and when: what an endpoint learns about a message beside its arguments."""

from dataclasses import dataclass

from common.identity import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The sealed part of a message that concerns its sender."""

    signer: Principal  # proven
    request_id: str  # the sender's own; the same in a retry
    sent_at: (
        float  # seconds since the epoch by the sender's clock: good for dropping old messages, nothing else
    )
