"""Versions as libvirt counts them: how they are written, and which of them fit together. Pure."""

from common.states import VersionRule


def version(number: int) -> str:
    """libvirt's way to write versions: 7002000 is 7.2.0."""
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"


def fits(source: int, dest: int, rule: VersionRule) -> bool:
    """Whether a guest may move from a hypervisor of the one version to one of the other."""
    match rule:
        case VersionRule.NOT_OLDER:
            return dest >= source
        case VersionRule.EQUAL:
            return dest == source
        case VersionRule.NONE:
            return True
