"""Findings about devices: which ones bar a guest from moving; of block devices whether both hosts see one."""

from common.checks import Check

DEVICE_NOT_PROVABLE = Check(
    code="device_not_provable",
    sentence="Whether {host} sees the same device behind disk {disk} ({path}) as the source cannot be shown: {reason}.",
    hint="Give it a unique name that both hosts see: a WWN, an iSCSI target's name, a serial of 16 characters.",
    meaning="A device that is perhaps the same must neither be taken for shared nor be written to by a copy.",
)
DEVICE_NOT_MOVABLE = Check(
    code="device_not_movable",
    sentence="{instance} cannot be moved with its {device}: {reason}.",
    hint="{advice}",
    meaning="The table in docs/storage.md has each kind of device, and what becomes of it.",
)
