"""Findings of the agents about what protects a guest's memory and disks on their way, and libvirt from strangers."""

from common.checks import Check, Severity

_SETUP = "`limosa-compute-agent libvirt-setup --transport tls --apply`"

TLS_MISSING = Check(
    code="tls_missing",
    sentence="{lacking} has no certificates for guests' memory in {directory}: what {instance} takes with it crosses the "
    "network unencrypted.",
    hint=f"Run {_SETUP} on {{lacking}}.",
    meaning="Of two hosts one could encrypt. It refuses where live_migration_tls is `required` or the flag list has "
    "VIR_MIGRATE_TLS, and warns otherwise.",
)
TLS_UNUSABLE = Check(
    code="tls_unusable",
    sentence="The certificates of {broken} for guests' memory cannot be used: {reason}.",
    hint=f"Run `limosa-compute-agent renew-certificate` if it is the certificate itself, then {_SETUP}, on {{broken}}.",
    meaning="Certificates that are there and do not work never lead to a migration without them: of another CA than the "
    "other host's, without the host's name, or not readable by QEMU. One that has expired is found by its own host.",
)
PEER_OPEN_TO_ALL = Check(
    code="peer_open_to_all",
    sentence="{peer} is reached at {uri}, over tcp: whoever else reaches that port is root on {peer}, unless libvirt asks "
    "for a name there (SASL), and all that is sent is readable.",
    hint=f"Run {_SETUP} on all hosts, then close the port as `--check` says.",
    severity=Severity.WARNS,
    meaning="libvirt's tcp transport is not encrypted, and as it is most often set up it asks nobody who he is.",
)
