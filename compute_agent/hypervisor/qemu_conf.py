"""One setting of qemu.conf. Pure."""

import re

_SETTING = r"""^\s*{name}\s*=\s*(["'])(?P<value>[^"']*)\1"""


def setting_in(qemu_conf: str, name: str) -> str:
    """A text that a qemu.conf sets; empty where it does not."""
    found = re.search(_SETTING.format(name=name), qemu_conf, re.MULTILINE)
    return found["value"].strip() if found is not None else ""
