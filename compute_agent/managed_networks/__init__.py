"""Networks that Limosa makes on this host while a guest needs them, or an administrator wants them.

`keeper.py` holds the rule when one stands; `standing.py` makes and removes one; `known.py` is what the conductors declare.
"""

from compute_agent.managed_networks.keeper import NetworkKeeper
from compute_agent.managed_networks.known import KnownNetworks
from compute_agent.managed_networks.standing import StandingNetworks
from compute_agent.managed_networks.watching import NetworkWatch

__all__ = ["KnownNetworks", "NetworkKeeper", "NetworkWatch", "StandingNetworks"]
