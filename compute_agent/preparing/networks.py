"""The managed networks of a guest: made on the dest before it comes, removed from the host that its last guest has left."""

from collections.abc import Iterator
from contextlib import contextmanager

from common import concurrency
from common.errors import LimosaError
from compute_agent.managed_networks import NetworkKeeper
from compute_agent.managed_networks.keeper import PART
from compute_agent.network_settings import NetworkSettings
from compute_agent.preparing.preparation import Arrival, Departure, Preparation, Prepared, Released, Undoing

WAIT_S = 600.0  # for one network: each call of whoever holds its lock is bounded


class Networks(Preparation):
    """See `compute_agent.managed_networks.keeper` for who counts as needing one."""

    name = PART
    is_released_last = True  # that the guest is reached on the dest is seen through its bridge

    def __init__(self, keeper: NetworkKeeper, names: NetworkSettings) -> None:
        self._keeper = keeper
        self._names = names

    def prepare(self, arrival: Arrival) -> Prepared:
        """All of them beside each other; the first that cannot be made is told when all have ended."""
        needed = [
            network
            for network in arrival.declared.networks
            if self._names.bridge_here(network.bridge) == network.bridge  # else it joins another one here
        ]
        tasks = [concurrency.spawn(self._keeper.bring, network, arrival.record) for network in needed]
        errors: list[LimosaError] = []
        for task in tasks:
            try:
                task.wait(WAIT_S)
            except LimosaError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return Prepared()

    def undo(self, undoing: Undoing) -> tuple[str, ...]:
        return self._keeper.forget(undoing.record)

    def complete(self, arrival: Arrival) -> tuple[str, ...]:
        """The guest counts by itself from now on."""
        return self._keeper.forget(arrival.record)

    @contextmanager
    def accompany(self, departure: Departure) -> Iterator[None]:
        with self._keeper.leaving(departure.migration, departure.declared.networks):
            yield

    def release(self, departure: Departure) -> Released:
        return Released(sentences=self._keeper.leave(departure.migration, departure.declared.networks))
