"""The VM lab: a controller and compute nodes, each a whole Debian 12 with systemd in a virtual machine of its own."""

from lab.vm.lab import VmLab

__all__ = ["VmLab"]
