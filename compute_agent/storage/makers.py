"""The makers of images by libvirt's disk type. A new kind is a new file and a line in `makers`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from compute_agent.hypervisor.pools import StoragePools
from compute_agent.storage.device_maker import DeviceMaker
from compute_agent.storage.file_maker import FileMaker
from compute_agent.storage.making import ImageMaker
from compute_agent.storage.volume_maker import VolumeMaker


def makers(pools: StoragePools, *, directories: Sequence[Path] = ()) -> Mapping[str, ImageMaker]:
    """Those of this host. `directories`: of the system's own, where files may be made all the same."""
    own: Mapping[str, ImageMaker] = {"file": FileMaker(directories), "block": DeviceMaker()}
    return {**own, "volume": VolumeMaker(pools, own)}
