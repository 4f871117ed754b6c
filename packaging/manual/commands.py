"""What a program can be told: its commands with their options, as its own parsers have them."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# Groups of options that cliff adds to every command that shows something; told once a page.
_OUTPUT_GROUPS: Final = (
    "output formatters",
    "table formatter",
    "CSV Formatter",
    "json formatter",
    "shell formatter",
)
_FILE_METAVARS: Final = ("FILE", "PATH", "DIRECTORY", "<filename>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option, or an operand if it has no flags."""

    flags: tuple[str, ...]
    metavar: str  # empty: it takes no value
    help: str
    choices: tuple[str, ...]
    is_required: bool
    is_repeated: bool
    is_output: bool  # about how things are shown, not about what is done

    @property
    def takes_file(self) -> bool:
        return self.metavar in _FILE_METAVARS


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    words: tuple[str, ...]  # without the program's name
    summary: str
    options: tuple[Option, ...]
    operands: tuple[Option, ...]
    is_group: bool = False  # only the first word of others


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    name: str
    section: int
    summary: str
    description: str
    options: tuple[Option, ...]
    commands: tuple[Command, ...]
    see_also: tuple[str, ...]

    @property
    def output_options(self) -> tuple[Option, ...]:
        """Each once, in the order of the first command that has them all."""
        found = {o.flags: o for command in self.commands for o in command.options if o.is_output}
        return tuple(found.values())


def options_of(parser: argparse.ArgumentParser) -> tuple[Option, ...]:
    """Those with flags."""
    return tuple(option for option in _read(parser) if option.flags)


def operands_of(parser: argparse.ArgumentParser) -> tuple[Option, ...]:
    return tuple(option for option in _read(parser) if not option.flags)


def commands_of(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[Command]:
    """Every subcommand below it, its own before those below them."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, subparser in action.choices.items():
            below = tuple(commands_of(subparser, (*words, name)))
            yield Command(
                words=(*words, name),
                summary=(subparser.description or summaries.get(name, "")) % {"prog": subparser.prog},
                options=options_of(subparser),
                operands=operands_of(subparser),
                is_group=bool(below),
            )
            yield from below


def _read(parser: argparse.ArgumentParser) -> Iterator[Option]:
    output = {
        id(action)
        for group in parser._action_groups
        if group.title in _OUTPUT_GROUPS
        for action in group._group_actions
    }
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or action.help == argparse.SUPPRESS:
            continue
        yield Option(
            flags=tuple(action.option_strings),
            metavar=_metavar(action),
            help=parser._get_formatter()._expand_help(action) if action.help else "",
            choices=tuple(str(choice) for choice in action.choices or ()),
            is_required=action.required,
            is_repeated=action.nargs in ("*", "+") or isinstance(action, argparse._AppendAction),
            is_output=id(action) in output,
        )


def _metavar(action: argparse.Action) -> str:
    if action.option_strings and action.nargs == 0:
        return ""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    if action.metavar is not None:
        return action.metavar
    return action.dest.replace("_", "-").upper()
