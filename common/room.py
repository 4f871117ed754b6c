"""Where a disk would be copied to, and how much room there is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRoom:
    """The room for one image that the dest lacks. Images of one `key` take of the same room."""

    disk: str  # target device
    path: str
    key: str
    place: str  # for a sentence: the volume group vg0
    free_bytes: int  # what those that are on their way there have still to take is taken off
