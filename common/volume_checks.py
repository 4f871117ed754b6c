"""Findings about disks that are on servers."""

from common.checks import Check

VOLUME_UNREACHABLE = Check(
    code="volume_unreachable",
    sentence="{host} does not reach the server of disk {disk} ({volume} on {servers}): {reason}.",
    hint="Look at the server, and at the network between it and {host}.",
    meaning="A disk of the guest is on a server that the dest cannot connect to.",
)
