"""Findings about how each disk of a guest gets to the dest: shared, or copied, and never by trust."""

from common.checks import Check, Severity

BLOCK_ON_SHARED = Check(
    code="block_on_shared",
    sentence="Disk {disk} ({path}) is on storage that {host} shares: block migration would copy it onto itself.",
    hint="Leave --block-migrate out: what is shared is not copied, what is not shared is.",
    meaning="Block migration was asked for, and both hosts see the very same disk.",
)
DISK_IN_THE_WAY = Check(
    code="disk_in_the_way",
    sentence="{host} has another disk at {path}, where disk {disk} would be copied to: {reason}.",
    hint="Look whose disk it is on {host}. If it was left behind, move it away and try again: nothing is ever overwritten.",
    meaning="The disk is not shared, and the dest has something of its name that is not the guest's.",
)
DISK_NOT_COPYABLE = Check(
    code="disk_not_copyable",
    sentence="Disk {disk} ({path}) is not shared by {dest}, and cannot be copied there: {reason}.",
    hint="Put it on storage that both hosts share, or take the disk away from the guest for the time.",
    meaning="The dest must make an empty image like it first, which is not possible for every kind of image.",
)
DISK_PLACE_MISSING = Check(
    code="disk_place_missing",
    sentence="{host} cannot make disk {disk} at {path}: {reason}.",
    hint="Make the directory on {host}, or mount the file system that it is on.",
    meaning="A disk that is copied has the same path on both hosts; of its directories at most the last one is made.",
)
BASE_IMAGE_MISSING = Check(
    code="base_image_missing",
    sentence="{host} lacks {path}, which disk {disk} stands on, and [storage]missing_base_image is refuse.",
    hint="Bring the image to {host}, or set [storage]missing_base_image = copy there.",
    meaning="Of a disk with images below it only the uppermost is copied by libvirt; the others must be there before.",
)
BASE_IMAGE_DIFFERS = Check(
    code="base_image_differs",
    sentence="{host} has another image at {path} than the one that disk {disk} stands on.",
    hint="Compare the two with sha256sum; move the one on {host} away, and it is copied from the source.",
    meaning="An overlay means nothing without just the image that it was made on: the two are compared by SHA-256.",
)
PENDING_DISK = Check(
    code="pending_disk",
    sentence="{instance} will have disk {disk} ({path}) after its next start only: it is not brought along from {host}.",
    hint="Bring it to the dest by hand if that does not share it, or start the guest anew before it is moved.",
    severity=Severity.WARNS,
    meaning="The definition of the guest names another disk than the guest runs with. The definition moves, the file stays.",
)
