"""Block devices that a host attaches for a guest: by os-brick, in a process of its own (`program`)."""

from compute_agent.attaching.attacher import Attacher, AttachError, BrickAttacher

__all__ = ["AttachError", "Attacher", "BrickAttacher"]
