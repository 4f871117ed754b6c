"""What can go wrong in the agent itself, as opposed to the hypervisor (`hypervisor.libvirt_errors`)."""

from common.errors import LimosaError


class LedgerInUseError(LimosaError):
    message = "Another compute agent works with {path} already."
    hint = "One agent runs on a host: stop the other one, or give each host of a test its own state_path."
    exit_code = 2


class LedgerCorruptError(LimosaError):
    """One instance's entry cannot be read. Its commands are refused: a guess could move a guest twice."""

    message = "The ledger's entry {path} cannot be read: {reason}"
    hint = (
        "Restore the file. If it is lost, stop the agent, move the whole ledger directory away and start it again: "
        "a conductor then tells the agent which commands are old."
    )


class InvalidCommandError(LimosaError):
    """A command that no conductor of ours would send."""

    message = "Command {verb} for {instance} makes no sense: {reason}"


class StorageSilentError(LimosaError):
    message = "Storage does not answer within {timeout_s} s: {what}"
    hint = "Look for a hung mount."


class StorageHangsError(StorageSilentError):
    message = "Storage does not answer: earlier looks still hang, so that this was not looked at: {what}"


class NetworkError(LimosaError):
    """A name, an address or a port that cannot be had; `reason` is the system's."""

    message = "{reason}"


class CommandError(LimosaError):
    """A program that could not be started, did not end in time, or failed; `reason` is the system's or its own."""

    message = "{program}: {reason}"


class LinkError(LimosaError):
    """A network link that cannot be looked at, or changed; `reason` is the kernel's."""

    message = "{reason}"


class NetworkUnusableError(LimosaError):
    """A managed network that cannot be made on this host; `reason` is what it lacks, or the kernel's."""

    message = "Network {network} cannot stand here: {reason}."


class WorkStoppedError(LimosaError):
    message = "A newer command was accepted, so this was stopped: {what}"


class CopyError(LimosaError):
    """A file of the source could not be copied to this host. Nothing of it is left here."""

    message = "{path} could not be copied: {reason}"


class OriginalGoneError(CopyError):
    message = "The source has no {path} (any more)."


class PlaceTakenError(CopyError):
    """This host has another file of that name: it is somebody's, and stays."""

    message = "There is another file at {path} already, with another content."


class MediumUnreadableError(LimosaError):
    message = "{path}, which the guest reads, cannot be read: {reason}"
