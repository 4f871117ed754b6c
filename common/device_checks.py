"""Findings about block devices: whether both hosts see one, and what the dest can make."""

from common.checks import Check

DEVICE_NOT_PROVABLE = Check(
    code="device_not_provable",
    sentence="Whether {host} sees the same device behind disk {disk} ({path}) as the source cannot be shown: {reason}.",
    hint="Give it a unique name that both hosts see: a WWN, an iSCSI target's name, a serial of 16 characters.",
    meaning="A device that is perhaps the same must neither be taken for shared nor be written to by a copy.",
)
