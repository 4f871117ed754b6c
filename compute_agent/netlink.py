"""pyroute2, as much of it as is used: the only importer.

It is imported as if there were no eventlet, since only native threads ever run it; and without what its package imports by
itself for other uses (a database of links, a console, a test bed), which would take 8 MiB of every agent's memory.
"""

import importlib.util
import sys
import types

from common import concurrency

_NAME = "pyroute2"


def _without_its_package() -> types.ModuleType:
    """A package of that name in which its parts are found, and that imports none."""
    package = types.ModuleType(_NAME)
    package.__spec__ = importlib.util.find_spec(_NAME)
    if package.__spec__ is not None:
        package.__path__ = list(package.__spec__.submodule_search_locations or ())
    return package


_before = sys.modules.get(_NAME)
sys.modules[_NAME] = _before or _without_its_package()
with concurrency.native_modules():
    from pyroute2.iproute import IPRoute as IPRoute
    from pyroute2.netlink.exceptions import NetlinkDumpInterrupted as NetlinkDumpInterrupted
    from pyroute2.netlink.exceptions import NetlinkError as NetlinkError
    from pyroute2.netlink.rtnl.ndmsg import NTF_MASTER as NTF_MASTER
    from pyroute2.netlink.rtnl.ndmsg import NTF_SELF as NTF_SELF
    from pyroute2.netlink.rtnl.ndmsg import NUD_NOARP as NUD_NOARP
    from pyroute2.netlink.rtnl.ndmsg import NUD_PERMANENT as NUD_PERMANENT
    from pyroute2.netlink.rtnl.ndmsg import NUD_REACHABLE as NUD_REACHABLE
if _before is None:
    del sys.modules[_NAME]  # whoever wants all of it in this process gets it
