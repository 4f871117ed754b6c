"""Findings about what a guest only reads: media, read-only disks, and the files that it is started with."""

from common.checks import Check, Severity

MEDIUM_GONE = Check(
    code="medium_gone",
    sentence="{what} of {instance} is {path}, which {host} cannot read (any more): {reason}.",
    hint="Put it back, or take the medium out: `virsh change-media {instance} {what} --eject --live --config`. With "
    "[media]missing_medium = eject the drive is emptied by the migration.",
    meaning="What is not on the source cannot be copied, and the dest's QEMU would not start without it.",
)
MEDIUM_MISSING = Check(
    code="medium_missing",
    sentence="{what} of {instance} is {path}: {reason} on {host}.",
    hint="Copy it there, or set [media]missing_medium = copy on {host}: then Limosa does.",
    meaning="The dest has no such file, or another one of its name, and is told to refuse the guest then.",
)
MEDIUM_EJECTED = Check(
    code="medium_ejected",
    sentence="{what} of {instance} is emptied by the migration: {path} cannot be had on {host} ({reason}).",
    hint="Put it in again afterwards: `virsh change-media {instance} {what} PATH --insert`.",
    severity=Severity.WARNS,
    meaning="The guest finds an empty drive on the dest, as [media]missing_medium = eject or its own startupPolicy says.",
)
MEDIUM_NOT_COPIED = Check(
    code="medium_not_copied",
    sentence="{what} of {instance} cannot be copied to {host}: {reason}.",
    hint="Make room there, or copy it by hand, or take the medium out.",
    meaning="The file is not on the dest, and could not be brought there before the guest.",
)
SOURCE_UNREACHABLE = Check(
    code="media_source_unreachable",
    sentence="{host} would have to copy {path} from {source}, whose libvirtd does not answer it at {uri}: {reason}.",
    hint="Let {host} reach the libvirtd of {source} as that reaches it, or copy the file by hand.",
    meaning="Files are copied through the source's libvirtd, which the dest connects to by its own live_migration_uri.",
)
NVRAM_DIRECTORY_MISSING = Check(
    code="nvram_directory_missing",
    sentence="{instance} keeps its firmware's variables in {path}, and {host} has no directory {directory}.",
    hint="Make it there, with the owner and mode that it has on the source.",
    meaning="The variables travel with the guest's memory; libvirt makes the file for them, and no directory.",
)
