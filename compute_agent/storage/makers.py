"""The makers of images by libvirt's disk type. A new kind is a new file and a line in `makers`."""

from collections.abc import Mapping

from compute_agent.storage.file_maker import FileMaker
from compute_agent.storage.making import ImageMaker


def makers() -> Mapping[str, ImageMaker]:
    """Those of this host."""
    return {"file": FileMaker()}
