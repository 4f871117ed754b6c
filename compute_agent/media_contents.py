"""On the source: what is in the media of a guest that is to leave, so that the dest can tell whether it has them."""

import os
from collections.abc import Callable, Iterator

from common import concurrency
from common.errors import describe_os_error
from common.facts import GuestFacts, HostFacts
from common.transfer import MediumTransfer
from compute_agent.checksums import Checksums
from compute_agent.definitions import facts_of, inactive_facts_of
from compute_agent.errors import MediumUnreadableError
from compute_agent.hypervisor.driver import Definition
from compute_agent.media import Medium, media_of
from compute_agent.subprocesses import user_of

STATUS_TIMEOUT_S = 20.0


class MediaContents:
    def __init__(self, checksums: Checksums) -> None:
        self._checksums = checksums

    def transfers(
        self, definition: Definition, *, host: HostFacts, is_stopped: Callable[[], bool]
    ) -> tuple[MediumTransfer, ...]:
        """Of what the guest has now, and of what it is to have from its next start on.

        Reads every file that it has not read before: seconds for each GiB. Raises MediumUnreadableError, WorkStoppedError,
        StorageSilentError.
        """
        live, later = facts_of(definition), inactive_facts_of(definition)
        now = tuple(self._transfer(medium, live, host, is_stopped) for medium in media_of(live))
        known = {(medium.what, medium.path) for medium in now}
        return (*now, *self._later(later, known, host, is_stopped)) if later is not None else now

    def _later(
        self,
        guest: GuestFacts,
        known: set[tuple[str, str]],
        host: HostFacts,
        is_stopped: Callable[[], bool],
    ) -> Iterator[MediumTransfer]:
        """What is missing of it does not keep the guest: it runs without."""
        for medium in media_of(guest):
            if (medium.what, medium.path) not in known and medium.can_be_copied:
                transfer = self._transfer(medium, guest, host, is_stopped)
                if transfer.sha256:
                    yield transfer

    def _transfer(
        self, medium: Medium, guest: GuestFacts, host: HostFacts, is_stopped: Callable[[], bool]
    ) -> MediumTransfer:
        transfer = MediumTransfer(
            what=medium.what,
            path=medium.path,
            size_bytes=0,
            sha256="",
            type=medium.type,
            is_dispensable=medium.is_dispensable,
            is_removable=medium.is_removable,
        )
        if not medium.can_be_copied:
            return transfer
        try:
            status = concurrency.call_blocking(os.stat, medium.path, timeout_s=STATUS_TIMEOUT_S)
            content = self._checksums.of(medium.path, is_stopped=is_stopped)
        except (FileNotFoundError, PermissionError):
            return transfer  # the check has told of it, or its drive may be emptied
        except OSError as error:
            raise MediumUnreadableError(path=medium.path, reason=describe_os_error(error)) from error
        user = user_of(host, label=guest.dac_label)
        return MediumTransfer(
            what=medium.what,
            path=medium.path,
            size_bytes=content.size_bytes,
            sha256=content.sha256,
            type=medium.type,
            is_dispensable=medium.is_dispensable,
            is_removable=medium.is_removable,
            mode=status.st_mode & 0o777,
            is_of_qemu=user is not None and status.st_uid == user.uid,
        )
