"""Errors that travel to a person: a message template and a hint on the class, fields on the object.

They are made into a sentence once, by `str(error)`; over RPC they travel as code and fields (`to_primitive`).
The client turns `exit_code` into its own.
"""

from collections.abc import Mapping
from typing import ClassVar

from common.checks import Finding


class LimosaError(Exception):
    """The base of all errors that an operator may read."""

    message: ClassVar[str] = "Something went wrong."
    hint: ClassVar[str] = ""
    exit_code: ClassVar[int] = 1

    def __init__(self, *, findings: tuple[Finding, ...] = (), **fields: object) -> None:
        self.fields = {name: str(value) for name, value in fields.items()}
        self.findings = findings
        super().__init__(self.message.format_map(self._words()))

    @property
    def advice(self) -> str:
        """What the reader can do about it; empty where nothing is known."""
        return self.hint.format_map(self.fields)

    def _words(self) -> dict[str, str]:
        """What fills the message: the fields, and what a class makes of them."""
        return self.fields

    @classmethod
    def by_code(
        cls, code: str, *, fields: Mapping[str, str], findings: tuple[Finding, ...] = ()
    ) -> "LimosaError":
        """Rebuild an error that travelled; a code of a newer peer becomes a plain one with its fields shown."""
        for kind in _all_subclasses(cls):
            if kind.__name__ == code:
                try:
                    return kind(findings=findings, **fields)
                except KeyError:  # a field has another name there
                    break
        return UnknownRemoteError(code=code, text=", ".join(f"{k}={v}" for k, v in fields.items()))


def _all_subclasses(cls: type[LimosaError]) -> list[type[LimosaError]]:
    return [sub for direct in cls.__subclasses__() for sub in (direct, *_all_subclasses(direct))]


class OutcomeUnknownError(LimosaError):
    """After any other error a request has changed nothing; after these it may have been carried out all the same."""


class UnknownRemoteError(OutcomeUnknownError):
    """A newer peer reported an error that this version does not know."""

    message = "The conductor reports {code}: {text}"


class ConfigurationError(LimosaError):
    """An option has a value that cannot work; nothing is started."""

    message = "[{group}]{option}: {reason}{stop}"
    hint = "Correct the configuration and try again."
    exit_code = 2

    def _words(self) -> dict[str, str]:
        # Reasons come from libraries, too, and end as they please.
        return {**self.fields, "stop": "" if self.fields["reason"].endswith((".", "?", "!")) else "."}


class ServiceUnreachableError(OutcomeUnknownError):
    message = "No conductor answered within {timeout_s} s (message bus {bus})."
    hint = "Look whether RabbitMQ and limosa-conductor run, and whether transport_url is right."


class InvalidRequestError(LimosaError):
    message = "{reason}"
    exit_code = 2


class NoBaselineError(LimosaError):
    """The CPUs of some hosts have nothing in common that a guest could be given; `reason` is libvirt's."""

    message = "There is no CPU that all of them can give a guest: {reason}."
    hint = "Name fewer hosts: `limosa doctor` shows which CPUs differ, and in what."
    exit_code = 4


class InstanceNotFoundError(LimosaError):
    message = "There is no instance {instance}."
    hint = "`limosa list` shows those that the agents have found."
    exit_code = 3


class InstanceAmbiguousError(LimosaError):
    message = "{count} instances are named {instance}: {candidates}."
    hint = "Name the uuid."
    exit_code = 2


class MigrationNotFoundError(LimosaError):
    message = "There is no migration {migration}."
    hint = "`limosa migration list` shows them."
    exit_code = 3


class HostNotFoundError(LimosaError):
    """No compute agent of that name was ever heard."""

    message = "There is no host {host}."
    hint = "`limosa host list` shows those whose agents have been heard."
    exit_code = 3


class RefusedError(LimosaError):
    """Checks refuse; `findings` carries every reason."""

    message = "{instance} was not moved: {count} {noun} against it."
    exit_code = 4

    def _words(self) -> dict[str, str]:
        return {**self.fields, "noun": "finding" if self.fields["count"] == "1" else "findings"}


class AbortRefusedError(LimosaError):
    message = "Migration {migration} cannot be aborted any more: {reason}."
    hint = "`limosa migration watch {migration}` follows it to its end."
    exit_code = 4


class MigrationEndedError(AbortRefusedError):
    message = "Migration {migration} cannot be aborted any more: it has ended, {status}."
    hint = "`limosa migration show {migration}` shows how."


class HostIsHeardError(LimosaError):
    message = "The compute agent on {host} is heard: that host is not down."
    hint = "Only a host that is off may be declared down; what it says of itself counts."
    exit_code = 4


class NotPermittedError(LimosaError):
    """The sender is known, and may not do this."""

    message = "{signer} may not {what}{why}."
    hint = "`limosa admin list` shows who may do what."
    exit_code = 9

    def _words(self) -> dict[str, str]:
        why = self.fields.get("why", "")
        return {**self.fields, "why": f": {why}" if why else ""}


class RequestReusedError(LimosaError):
    """A request id stands for one request; under this one, something else was asked before."""

    message = "Request {request_id} of {signer} was another one before; nothing was done."
    hint = "If nobody has tampered with the message bus, this is a bug of the client: please report it."
    exit_code = 9


class RequestAtWorkError(OutcomeUnknownError):
    """Its first answer is not there yet."""

    message = "Request {request_id} is still being carried out."
    hint = "Look with `limosa migration list` or `limosa audit list` what has become of it."


class AdministratorExistsError(LimosaError):
    message = "There is an administrator {name} already."
    hint = "Choose another name: a name that was revoked is not given again, so that the audit stays true."
    exit_code = 2


class KeyTakenError(LimosaError):
    """Who is revoked under one name would go on under the other."""

    message = "{name} would have the key of {holder}; each one has a key of its own."
    hint = "Most likely this is the wrong file."
    exit_code = 2


class AdministratorNotFoundError(LimosaError):
    message = "There is no administrator {name}."
    hint = "`limosa admin list` shows them."
    exit_code = 3


class LastAdministratorError(LimosaError):
    message = "{name} is the last one with the role admin: nobody could register another."
    hint = "Create another one first."
    exit_code = 4


class SecurityGroupNotFoundError(LimosaError):
    message = "There is no security group {group}."
    hint = "`limosa security-group list` shows them."
    exit_code = 3


class SecurityGroupExistsError(LimosaError):
    message = "There is a security group {group} already."
    hint = "`limosa security-group show {group}` shows it."
    exit_code = 2


class SecurityGroupInUseError(LimosaError):
    message = "Security group {group} is in use: {users}."
    hint = "Take the interfaces out with `limosa port set` or `limosa port unset`, and remove the rules; then it can go."
    exit_code = 4


class RuleExistsError(LimosaError):
    message = "Security group {group} has this rule already: rule {id}."
    exit_code = 2


class RuleNotFoundError(LimosaError):
    message = "Security group {group} has no rule {id}."
    hint = "`limosa security-group show {group}` shows those that it has."
    exit_code = 3


class PortNotFoundError(LimosaError):
    """No interface of that guest has this MAC."""

    message = "{instance} has no interface {mac}; it has: {macs}."
    hint = (
        "`limosa port list --instance {instance}` shows them. One that is plugged in later is declared then."
    )
    exit_code = 3


class PortNotDeclaredError(LimosaError):
    message = "Nothing is declared of an interface {mac} of {instance}."
    hint = "`limosa port list --instance {instance}` shows what is."
    exit_code = 3


class HostSilentError(LimosaError):
    message = "The compute agent on {host} has not answered within {timeout_s} s."
    hint = "`limosa service list` shows when it was last heard."


class NetworkNotFoundError(LimosaError):
    message = "There is no network {network}."
    hint = "`limosa network list` shows those that are declared."
    exit_code = 3


class NetworkExistsError(LimosaError):
    message = "Network {network} has {what} already."
    hint = "`limosa network show {network}` shows it."
    exit_code = 2


class NetworkInUseError(LimosaError):
    message = "Network {network} is in use: {reason}."
    hint = "`limosa network show {network}` shows its guests and hosts."
    exit_code = 4


class DiskNotFoundError(LimosaError):
    message = "{instance} has no disk {disk}; it has: {disks}."
    hint = "A disk that is attached later is declared then."
    exit_code = 3


class VolumeNotDeclaredError(LimosaError):
    message = "Nothing is declared of a disk {disk} of {instance}."
    hint = "`limosa volume list --instance {instance}` shows what is."
    exit_code = 3


class ConflictError(LimosaError):
    """A compare-and-swap found another version: somebody else advanced the row. Never shown; retried."""

    message = "{what} was changed by somebody else."


def describe(error: BaseException) -> str:
    """One line for a journal or a log: the class where the text alone would say nothing."""
    text = str(error).strip()
    return (
        text
        if isinstance(error, LimosaError)
        else f"{type(error).__name__}: {text}"
        if text
        else type(error).__name__
    )


def describe_os_error(error: OSError) -> str:
    """`/var/lib/limosa: Permission denied`, without Python's number of it."""
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
