"""[storage]: what an agent does about the disks of guests that come to its host."""

from oslo_config import cfg

from common.states import MissingBaseImage

STORAGE_OPTIONS = [
    cfg.StrOpt(
        "missing_base_image",
        default=MissingBaseImage.COPY.value,
        choices=[
            (MissingBaseImage.COPY.value, "it is copied from the source before the guest comes, and stays"),
            (MissingBaseImage.REFUSE.value, "the guest is refused, with the image's path"),
        ],
        help="What happens when a disk is to be copied to this host and an image below it is not here. One that is here and "
        "differs is refused in any case.",
    ),
]
