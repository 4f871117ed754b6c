"""What the conductors have told this host of managed networks; kept on the disk for a start without a conductor.

STATE_PATH/networks.json
"""

import json
import logging
from pathlib import Path

from common import wire
from common.conductor_api import ConductorAPI
from common.errors import LimosaError
from common.network_views import HostNetworks
from compute_agent import durable

FILE = "networks.json"

LOG = logging.getLogger(__name__)


class KnownNetworks:
    """Pulled, never pushed: a message that is lost makes the news late and nothing else."""

    def __init__(self, state_path: Path, conductor: ConductorAPI, *, host: str) -> None:
        self._path = state_path / FILE
        self._conductor = conductor
        self._host = host
        self._known = self._read()

    @property
    def latest(self) -> HostNetworks | None:
        """None: no conductor has ever told anything, and what is to stand here is not known."""
        return self._known

    def pull(self) -> None:
        """Ask a conductor; where none answers, what was told before holds."""
        try:
            told = self._conductor.networks_of_host(self._host)
        except LimosaError as error:
            LOG.info("no conductor tells of networks: %s", error)
            return
        if told != self._known:
            durable.write(self._path, json.dumps(wire.to_primitive(told)))
            self._known = told

    def _read(self) -> HostNetworks | None:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return wire.from_primitive(HostNetworks, json.loads(text), ignore_unknown=True)
