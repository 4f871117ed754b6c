"""To whom the files belong that root makes on a controller."""

import os
import pwd
from collections.abc import Iterable
from pathlib import Path

from common.errors import LimosaError
from common.tools import say

DEFAULT_OWNER = "limosa"  # the user of limosa-conductor.service


class OwnerUnknownError(LimosaError):
    message = "There is no user {owner}."
    exit_code = 2


def owner(name: str | None) -> pwd.struct_passwd | None:
    """Whom the files are given to; None: they stay ours. Raises OwnerUnknownError."""
    if name is None and os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name or DEFAULT_OWNER)
    except KeyError:
        if name is None:
            say(
                f"There is no user {DEFAULT_OWNER}: the files are root's, whom the conductor must run as, then."
            )
            return None
        raise OwnerUnknownError(owner=name) from None


def give_to(user: pwd.struct_passwd | None, paths: Iterable[Path]) -> None:
    if user is not None:
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
