"""What speaks against a migration on this host: one file a check or family, run by the verbs and by `limosa check` alike.

A check is a function of a look that yields findings, and a line below. It changes nothing and leaves nothing behind.
It may raise: `run` makes that a finding that names it. Whether the storage is shared is the one thing that must write
something to be found out: `compute_agent.examiner` does it beside these.
"""

from typing import Final

from compute_agent.checks.certificates import check_client_certificates, check_server_certificates
from compute_agent.checks.confinement import check_hook, check_lock_manager, check_security_models
from compute_agent.checks.cpu import check_cpu
from compute_agent.checks.devices import check_devices
from compute_agent.checks.disk_access import check_disk_access
from compute_agent.checks.disk_locks import check_disk_locks
from compute_agent.checks.encryption import check_encryption, check_transport
from compute_agent.checks.filtering import check_filtering
from compute_agent.checks.graphics import check_graphics
from compute_agent.checks.interfaces import check_interfaces, check_mtus
from compute_agent.checks.jobs import check_jobs
from compute_agent.checks.look import DestLook, SourceLook
from compute_agent.checks.machine import check_machine
from compute_agent.checks.managed_networks import check_managed_networks
from compute_agent.checks.media import check_media, check_media_at_source
from compute_agent.checks.memory import check_memory
from compute_agent.checks.movable import check_movable
from compute_agent.checks.names import check_names
from compute_agent.checks.obstacles import check_obstacles
from compute_agent.checks.pending_disks import check_pending_disks
from compute_agent.checks.reach import check_host_uuid, check_peer, check_ports, check_source_name
from compute_agent.checks.resources import check_resources
from compute_agent.checks.running import Check, Found, run
from compute_agent.checks.secrets import check_secrets
from compute_agent.checks.users import check_users
from compute_agent.checks.volumes import check_volumes
from compute_agent.checks.writing import check_writing

__all__ = ["DEST_CHECKS", "SOURCE_CHECKS", "DestLook", "Found", "SourceLook", "run"]

DEST_CHECKS: Final[tuple[Check[DestLook], ...]] = (
    check_names,
    check_writing,
    check_server_certificates,
    check_memory,
    check_users,
    check_graphics,
    check_disk_access,
    check_media,
    check_disk_locks,
    check_lock_manager,
    check_security_models,
    check_source_name,
    check_hook,
    check_machine,
    check_cpu,
    check_secrets,
    check_resources,
    check_interfaces,
    check_managed_networks,
    check_volumes,
    check_filtering,
)

SOURCE_CHECKS: Final[tuple[Check[SourceLook], ...]] = (
    check_movable,
    check_writing,
    check_client_certificates,
    check_jobs,
    check_obstacles,
    check_pending_disks,
    check_devices,
    check_media_at_source,
    check_peer,
    check_host_uuid,
    check_ports,
    check_transport,
    check_encryption,
    check_mtus,
)
