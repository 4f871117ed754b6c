"""What is in the media of a guest, for the dest to tell whether it has them; and what the dest sees at their paths."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from common import concurrency
from common.errors import describe_os_error
from common.facts import GuestFacts, HostFacts
from common.migration import MediumSeen
from common.transfer import MediumTransfer
from compute_agent.checksums import Checksums
from compute_agent.definitions import facts_of, inactive_facts_of
from compute_agent.errors import MediumUnreadableError, StorageSilentError
from compute_agent.hypervisor.driver import Definition
from compute_agent.media import Medium, media_of
from compute_agent.storage.gate import GATE
from compute_agent.subprocesses import User, user_of

STATUS_TIMEOUT_S = 20.0


def seen_here(guest: GuestFacts) -> tuple[MediumSeen, ...]:
    """What this host has at the paths of its media. Storage that hangs is told by the check of media."""
    paths = [medium.path for medium in media_of(guest) if medium.can_be_copied]
    if not paths:
        return ()
    try:
        return GATE.look(_statuses, paths, timeout_s=STATUS_TIMEOUT_S, what=", ".join(paths))
    except StorageSilentError:
        return ()


def _statuses(paths: Sequence[str]) -> tuple[MediumSeen, ...]:
    found = []
    for path in paths:
        with suppress(OSError):
            found.append(_seen(path, os.stat(path)))  # noqa: PTH116 (its fields are what is wanted)
    return tuple(found)


def _seen(path: str, status: os.stat_result) -> MediumSeen:
    return MediumSeen(
        path=path,
        size_bytes=status.st_size,
        inode=status.st_ino,
        modified_ns=status.st_mtime_ns,
        changed_ns=status.st_ctime_ns,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looking:
    """What is the same for all media of one look."""

    user: User | None  # QEMU's
    there: tuple[MediumSeen, ...]
    is_stopped: Callable[[], bool]


class MediaContents:
    """On the source. For ordinary threads."""

    def __init__(self, checksums: Checksums) -> None:
        self._checksums = checksums

    def transfers(
        self,
        definition: Definition,
        *,
        host: HostFacts,
        there: tuple[MediumSeen, ...] = (),
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> tuple[MediumTransfer, ...]:
        """Of what the guest has now, and of what it is to have from its next start on. `there`: what the dest sees.

        Reads every file that is not the dest's too, and was not read before: seconds for each GiB.
        Raises MediumUnreadableError, WorkStoppedError, StorageSilentError.
        """
        live, later = facts_of(definition), inactive_facts_of(definition)
        user = user_of(host, label=live.dac_label)
        looking = _Looking(user=user, there=there, is_stopped=is_stopped)
        now = tuple(self._transfer(medium, looking) for medium in media_of(live))
        if later is None:
            return now
        return (*now, *self._later(later, {(medium.what, medium.path) for medium in now}, looking))

    def _later(
        self, guest: GuestFacts, known: set[tuple[str, str]], looking: _Looking
    ) -> Iterator[MediumTransfer]:
        """What is missing of it does not keep the guest: it runs without."""
        for medium in media_of(guest):
            if (medium.what, medium.path) not in known and medium.can_be_copied:
                transfer = self._transfer(medium, looking)
                if transfer.sha256 or transfer.is_shared:
                    yield transfer

    def _transfer(self, medium: Medium, looking: _Looking) -> MediumTransfer:
        unread = MediumTransfer(
            what=medium.what,
            path=medium.path,
            size_bytes=0,
            sha256="",
            type=medium.type,
            is_dispensable=medium.is_dispensable,
            is_removable=medium.is_removable,
        )
        if not medium.can_be_copied:
            return unread
        try:
            status = concurrency.call_blocking(os.stat, medium.path, timeout_s=STATUS_TIMEOUT_S)
            if _seen(medium.path, status) in looking.there:
                return replace(unread, size_bytes=status.st_size, is_shared=True)
            content = self._checksums.of(medium.path, is_stopped=looking.is_stopped)
        except (FileNotFoundError, PermissionError):
            return unread  # the check has told of it, or its drive may be emptied
        except OSError as error:
            raise MediumUnreadableError(path=medium.path, reason=describe_os_error(error)) from error
        return replace(
            unread,
            size_bytes=content.size_bytes,
            sha256=content.sha256,
            mode=status.st_mode & 0o777,
            is_of_qemu=looking.user is not None and status.st_uid == looking.user.uid,
        )
