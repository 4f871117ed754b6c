"""`limosa volume`: disks that are on servers, and what is declared of them."""

import argparse

from client.command import ListCommand, ShowCommand, add_instance, add_instance_filter, name
from common.volume_views import VolumeFilter, VolumeRequest, VolumeView

_KEYS = (
    "instance_name", "target", "driver", "name", "servers", "secret", "properties", "is_host_attached", "is_declared",
    "is_present", "instance_uuid",
)  # fmt: skip


class VolumeList(ListCommand):
    """List the disks that are on servers: as XML and hosts say, and as was declared."""

    kind = VolumeView
    table_keys = _KEYS
    optional_keys = ("secret", "properties")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_instance_filter(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> tuple[VolumeView, ...]:
        return self.conductor.list_volumes(VolumeFilter(instance=arguments.instance))


class VolumeCommand(ShowCommand):
    """One volume."""

    kind = VolumeView
    table_keys = _KEYS

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_instance(parser)
        parser.add_argument("target", metavar="DISK", type=name, help="its target in the guest, such as vdb")
        return parser


class VolumeSet(VolumeCommand):
    """Say how the host attaches a disk of an instance, in the place of what was said before.

    Needed for a block device whose server the host itself cannot tell. Of a disk that QEMU connects itself (NBD, iSCSI or
    RBD in the guest's XML) only the properties count: a grants command may read them.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--driver",
            metavar="DRIVER",
            type=name,
            required=True,
            help="iscsi, fibre_channel, rbd, ...: os-brick's word",
        )
        parser.add_argument(
            "--name",
            metavar="NAME",
            dest="volume",
            type=name,
            required=True,
            help="of iSCSI: IQN/LUN; of RBD: POOL/IMAGE",
        )
        parser.add_argument(
            "--server",
            metavar="HOST:PORT",
            dest="servers",
            action="append",
            default=[],
            help="may be repeated",
        )
        parser.add_argument(
            "--secret", metavar="UUID", default="", help="the libvirt secret that opens it; never a password"
        )
        parser.add_argument(
            "--property",
            metavar="KEY=VALUE",
            dest="properties",
            type=_property,
            action="append",
            default=[],
            help="what the driver needs besides; may be repeated",
        )
        return parser

    def fetch(self, arguments: argparse.Namespace) -> VolumeView:
        request = VolumeRequest(
            instance=arguments.instance,
            target=arguments.target,
            driver=arguments.driver,
            name=arguments.volume,
            servers=tuple(arguments.servers),
            secret=arguments.secret,
            properties=dict(arguments.properties),
        )
        return self.conductor.set_volume(request)


class VolumeUnset(VolumeCommand):
    """Forget what was declared of a disk, also of an instance that is gone."""

    def fetch(self, arguments: argparse.Namespace) -> VolumeView:
        return self.conductor.unset_volume(arguments.instance, arguments.target)


def _property(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text} is not KEY=VALUE")
    return key, value
