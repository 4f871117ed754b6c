"""Several hosts on one machine: namespaces, libvirtd, RabbitMQ, guests and faults.

Used by the quickstart, the tests and the bench; never by the product. Only the standard library is needed.
"""

from lab.errors import LabError
from lab.lab import Lab

__all__ = ["Lab", "LabError"]
