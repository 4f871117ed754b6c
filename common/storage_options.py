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
    cfg.ListOpt(
        "image_directories",
        default=[],
        help="Directories below /etc, /home, /opt, /root, /usr, /var and the like in which disks of guests that come may "
        "be made. The source's word is not enough there: what it names would be written by root. Permitted without "
        "being named are /var/lib/libvirt, /var/lib/nova, /run/media and all that is not the system's own.",
    ),
]
