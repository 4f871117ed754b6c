"""Whether what a guest only reads can be had on the dest: on the source whether it is there, on the dest what is missing.

What is missing is copied, or its drive emptied, as [media]missing_medium says; so this refuses only what cannot be.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from common.checks import Finding
from common.media_checks import (
    MEDIUM_EJECTED,
    MEDIUM_GONE,
    MEDIUM_MISSING,
    NVRAM_DIRECTORY_MISSING,
    SOURCE_UNREACHABLE,
)
from common.states import MissingMedium
from compute_agent.checks.look import DestLook, SourceLook
from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from compute_agent.media import NVRAM, Medium, media_of
from compute_agent.migrate_request import connection_uri
from compute_agent.storage.gate import GATE
from compute_agent.subprocesses import Done, FileAction, User, do_here, run_as, user_of

OPEN_TIMEOUT_S = 20.0
REACH_TIMEOUT_S = 15.0


def check_media_at_source(look: SourceLook) -> Iterator[Finding]:
    """What is not there any more, although QEMU has it open. Not what may be missing by the guest's own definition."""
    media = [medium for medium in media_of(look.guest) if not medium.is_dispensable]
    user = user_of(look.source, label=look.guest.dac_label)
    may_eject = look.settings.media.missing_medium is MissingMedium.EJECT
    for medium, done in zip(media, _open(media, user), strict=True):
        if not done.error:
            continue
        evidence = {"what": medium.what, "instance": look.guest.name, "path": medium.path}
        make = MEDIUM_GONE.warning if may_eject and medium.is_removable else MEDIUM_GONE.finding
        yield make(look.settings.host, **evidence, reason=done.error)


def check_media(look: DestLook) -> Iterator[Finding]:
    """What is not here, as far as names tell: contents are compared when the guest is prepared for."""
    media = [medium for medium in media_of(look.guest) if not medium.is_dispensable]
    user = user_of(look.dest, label=look.guest.dac_label)
    missing = [(medium, done) for medium, done in zip(media, _open(media, user), strict=True) if done.error]
    to_copy = []
    for medium, done in missing:
        finding = _without_copy(look, medium, done.error)
        if finding is None:
            to_copy.append(medium)
        else:
            yield finding
    if to_copy:
        yield from _source_reached(look, to_copy[0])
    yield from _nvram(look)


def _without_copy(look: DestLook, medium: Medium, reason: str) -> Finding | None:
    """None for what is to be copied."""
    policy = look.settings.media.missing_medium
    evidence = {"what": medium.what, "instance": look.guest.name, "path": medium.path, "reason": reason}
    if policy is MissingMedium.REFUSE:
        return MEDIUM_MISSING.finding(look.settings.host, **evidence)
    if medium.is_removable and (policy is MissingMedium.EJECT or not medium.can_be_copied):
        return MEDIUM_EJECTED.finding(look.settings.host, **evidence)
    return None if medium.can_be_copied else MEDIUM_MISSING.finding(look.settings.host, **evidence)


def _source_reached(look: DestLook, medium: Medium) -> Iterator[Finding]:
    address = look.source_address or look.source_host
    if not address:
        return  # a conductor of an earlier version: then the copying itself tells
    uri = connection_uri(look.settings.live_migration, address)
    try:
        look.hypervisor.reach(uri, timeout_s=REACH_TIMEOUT_S)
    except HypervisorUnreachableError as error:
        reason = error.fields["reason"].rstrip(".")
        yield SOURCE_UNREACHABLE.finding(
            look.settings.host, path=medium.path, source=look.source_host or address, uri=uri, reason=reason
        )


def _nvram(look: DestLook) -> Iterator[Finding]:
    for what, path in look.guest.boot_files:
        directory = Path(path).parent
        if (
            what == NVRAM
            and path.startswith("/")
            and not GATE.look(directory.is_dir, timeout_s=OPEN_TIMEOUT_S, what=str(directory))
        ):
            yield NVRAM_DIRECTORY_MISSING.finding(
                look.settings.host, instance=look.guest.name, path=path, directory=directory
            )


def _open(media: Sequence[Medium], user: User | None) -> tuple[Done, ...]:
    """By the agent, or where it is denied by QEMU's user: libvirt gives its user what it needs for the guest."""
    if not media:
        return ()
    actions = [FileAction(do="open", path=medium.path) for medium in media]
    what = ", ".join(medium.path for medium in media)
    done = GATE.look(do_here, actions, timeout_s=OPEN_TIMEOUT_S, what=what)
    if user is None or user.is_this_process:
        return done
    denied = [action for action, one in zip(actions, done, strict=True) if one.is_denied]
    second = iter(run_as(user, denied, timeout_s=OPEN_TIMEOUT_S) if denied else ())
    return tuple(next(second) if one.is_denied else one for one in done)
