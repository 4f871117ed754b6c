"""Where the lab keeps things: all of it below <checkout>/.lab, except the sources in <checkout>/lab."""

from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCES = CHECKOUT / "lab"
VENV_BIN = CHECKOUT / ".venv" / "bin"

# The same interpreter inside and outside of the venv: what the lab runs in a namespace needs no package.
PYTHON = "/usr/bin/python3"

# As the hosts see them.
SHARED_DIRECTORY = Path("/srv/shared")
LOCAL_DIRECTORY = Path("/srv/local")
PID_DIRECTORY = Path("/run/limosa-lab")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPaths:
    """The files of one lab. A lab has one directory; there is one lab per directory."""

    top: Path

    @property
    def cache(self) -> Path:
        """What survives `down` and serves every lab of this checkout: the guest's kernel and image, libvirt's
        capabilities."""
        return CHECKOUT / ".lab" / "cache"

    @property
    def hosts(self) -> Path:
        return self.top / "hosts"

    @property
    def shared(self) -> Path:
        """What every compute host sees at /srv/shared."""
        return self.top / "shared"

    @property
    def storage_mount(self) -> Path:
        """Where the storage host mounts the shared directory; an empty directory outside of the lab."""
        return self.top / "storage"

    @property
    def record(self) -> Path:
        """The lab's processes, so that a later command finds them."""
        return self.top / "lab.json"

    @property
    def guests(self) -> Path:
        return self.top / "guests.json"

    @property
    def lock(self) -> Path:
        return self.top / "lock"

    def host(self, name: str) -> Path:
        """Return the tree that is laid over the host's root: etc/limosa, var/log/limosa and so on."""
        return self.hosts / name


DEFAULT_PATHS = LabPaths(top=CHECKOUT / ".lab")
