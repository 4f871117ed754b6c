"""The storage pools of a fake hypervisor's host."""

from collections.abc import Callable
from dataclasses import dataclass

from compute_agent.hypervisor.pools import PoolAbsentError, VolumePlace


@dataclass
class FakePool:
    type: str = "dir"
    path: str = "/srv/pool"
    is_active: bool = True


class FakePools:
    """Tests change `pools` at will; `refreshed` are those that were looked at anew."""

    def __init__(self, require_up: Callable[[], None]) -> None:
        self.pools: dict[str, FakePool] = {}
        self.refreshed: list[str] = []
        self._require_pools_up = require_up

    def volume_place(self, pool: str, volume: str) -> VolumePlace:
        found = self._active(pool)
        return VolumePlace(pool_type=found.type, path=f"{found.path}/{volume}" if found.path else "")

    def refresh_pool(self, pool: str) -> None:
        self._active(pool)
        self.refreshed.append(pool)

    def _active(self, name: str) -> FakePool:
        self._require_pools_up()
        if name not in self.pools:
            raise PoolAbsentError(pool=name, reason="libvirt has none of that name")
        if not self.pools[name].is_active:
            raise PoolAbsentError(pool=name, reason="it is not active")
        return self.pools[name]
