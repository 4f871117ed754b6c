"""Where the tour of the client goes: chapters of commands, in an order in which each finds what it needs.

A command that this version does not have is left out, so that the tour is made anew when there is one more.
"""

from dataclasses import dataclass
from typing import Final

GUEST: Final = "web1"
LOCAL_GUEST: Final = "db1"  # one of its disks is on SOURCE alone
SOURCE: Final = "compute1"
DEST: Final = "compute2"
MIGRATION: Final = "{migration}"  # stands for the id of the newest migration
MAC: Final = "{mac}"  # for that of the interface of GUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One command: its words behind `limosa`, and the exit code that it ends with."""

    words: tuple[str, ...]
    exit_code: int = 0
    before: str = ""  # what the reader should know before
    needs: str = ""  # a command that came together with what is shown here

    @classmethod
    def of(cls, text: str, *more: str, exit_code: int = 0, before: str = "", needs: str = "") -> "Stop":
        """`more` are words with spaces in them."""
        return cls(words=(*text.split(), *more), exit_code=exit_code, before=before, needs=needs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Some commands with one subject. With `is_followed`, `limosa events` listens meanwhile and is shown at the end."""

    title: str
    text: str
    stops: tuple[Stop, ...]
    is_followed: bool = False


CHAPTERS: Final = (
    Chapter(
        title="What is there",
        text="Guests are found, not made: the agents report what runs under libvirt.",
        stops=(
            Stop.of("list"),
            Stop.of(f"show {GUEST}"),
            Stop.of("service list"),
            Stop.of("host list"),
            Stop.of(f"host show {SOURCE}"),
            Stop.of(f"service describe-resource {SOURCE}"),
        ),
    ),
    Chapter(
        title="Could it be moved?",
        text="All checks, without moving anything; a finding says what was seen and what to do about it.",
        stops=(
            Stop.of(f"check {GUEST}"),
            Stop.of(
                f"check {GUEST} {SOURCE}",
                exit_code=4,
                before="A host that makes no sense is refused, with the reason:",
            ),
        ),
    ),
    Chapter(
        title="Move it",
        text="On a terminal a bar shows how far it is; the result is what a script gets. Somebody else follows the events.",
        stops=(Stop.of(f"live-migration {GUEST} {DEST}"),),
        is_followed=True,
    ),
    Chapter(
        title="What happened",
        text="Each migration keeps its story: what was decided, upon which answer, and how long each step took.",
        stops=(
            Stop.of("migration list"),
            Stop.of(f"migration log {MIGRATION}"),
            Stop.of(f"instance history {GUEST}"),
            Stop.of(
                f"migration show {MIGRATION} -f json",
                before="For programs, every key under a name that stays:",
            ),
        ),
    ),
    Chapter(
        title="Refusals",
        text="What cannot be is refused before anything moves, with every reason at once.",
        stops=(
            Stop.of(f"live-migration {GUEST} {DEST}", exit_code=4),
            Stop.of(f"live-migration {GUEST} compute9", exit_code=4),
            Stop.of("show nobody", exit_code=3),
        ),
    ),
    Chapter(
        title="A host is to be left alone",
        text="A disabled host keeps its guests and gets no further ones.",
        stops=(
            Stop.of(f"service disable {SOURCE} --reason", "memory is replaced on Thursday"),
            Stop.of(f"live-migration {GUEST} {SOURCE}", exit_code=4, needs="check"),
            Stop.of(f"service enable {SOURCE}"),
        ),
    ),
    Chapter(
        title="Stop one",
        text="An abort is possible as long as the guest has not been handed over; it stays where it is.",
        stops=(
            Stop.of(f"live-migration {GUEST} {SOURCE} --no-wait"),
            Stop.of(f"migration abort {MIGRATION}"),
            Stop.of(f"migration watch {MIGRATION}", exit_code=8),
        ),
        is_followed=True,
    ),
    Chapter(
        title="A disk that is its host's own",
        text="What both hosts see stays where it is, what they do not is copied while the guest runs.",
        stops=(
            Stop.of(
                f"check {LOCAL_GUEST} {DEST} --shared-storage",
                exit_code=4,
                before="Who means all disks to be shared, or none, says so:",
            ),
            Stop.of(f"check {LOCAL_GUEST} {DEST} --block-migrate", exit_code=4),
            Stop.of(
                f"live-migration {LOCAL_GUEST} {DEST}",
                before="Without either option each disk goes its own way:",
            ),
        ),
    ),
    Chapter(
        title="What may reach a guest",
        text="Security groups say it. A guest without a group is not filtered.",
        stops=(
            Stop.of("security-group create web --description", "web servers"),
            Stop.of("security-group rule add web --protocol tcp --port 80"),
            Stop.of(
                "security-group rule add web --protocol icmp --port 80",
                exit_code=2,
                before="A rule that makes no sense is refused:",
            ),
            Stop.of("security-group show web"),
            Stop.of(f"port list --instance {GUEST}"),
            Stop.of(f"port set {GUEST} {MAC} --group web --address 10.78.0.100"),
            Stop.of("security-group delete web", exit_code=4),
        ),
    ),
    Chapter(
        title="Who may, and who did",
        text="Every message is signed; what changes something, or is refused, is kept.",
        stops=(
            Stop.of("admin list"),
            Stop.of("audit list"),
        ),
    ),
)
