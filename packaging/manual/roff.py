"""Manual pages in man(7)'s language."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from manual.commands import Command, Option, Program
from manual.settings import Setting

_CODE = re.compile(r"`([^`]+)`")
_LONG_WORD = re.compile(r"\S{50,}")  # a list or a URL: it may be broken
_CONFIGURATION: Final = (
    "One file serves all programs of a machine: groups in brackets, and lines `option = value` below them. What is "
    "not set has its default. An option that does not exist is refused, with its name, before a service starts."
)


def page(program: Program, *, version: str) -> str:
    """Of one program, all its commands in it."""
    lines = [
        _title(program.name, section=program.section, version=version),
        ".SH NAME",
        f"{_escape(program.name)} \\- {_escape(program.summary)}",
        ".SH SYNOPSIS",
        f"\\fB{_escape(program.name)}\\fR [\\fIOPTION\\fR...] [\\fICOMMAND\\fR [\\fIARGUMENT\\fR...]]",
        ".SH DESCRIPTION",
        text(program.description),
        f"\\fB{_escape(program.name)} \\-\\-help\\fR, and \\-\\-help after any command, say the same shortly.",
        ".SH OPTIONS",
        *_listed(program.options),
        ".SH COMMANDS",
    ]
    for command in program.commands:
        if not command.is_group:
            lines += _command(program, command)
    if program.output_options:
        lines += [".SH OUTPUT OPTIONS", "How a command shows what it found; each takes those that fit it."]
        lines += _listed(program.output_options)
    lines += [
        ".SH FILES",
        ".TP",
        "\\fI/etc/limosa/limosa.conf\\fR",
        "the configuration of all programs of a machine",
        ".TP",
        "\\fI/usr/share/doc/limosa\\fR",
        "the documents; client.md there has the exit codes",
    ]
    return "\n".join([*lines, *_see_also(program.see_also)]) + "\n"


def configuration_page(groups: Iterable[tuple[str, Iterable[Setting]]], *, version: str) -> str:
    """limosa.conf(5): every option that the file may hold, by group."""
    lines = [
        _title("limosa.conf", section=5, version=version),
        ".SH NAME",
        "limosa.conf \\- the configuration of Limosa's programs",
        ".SH SYNOPSIS",
        "\\fI/etc/limosa/limosa.conf\\fR",
        ".SH DESCRIPTION",
        text(_CONFIGURATION),
    ]
    for group, settings in groups:
        lines.append(f".SH {_escape(f'[{group}]')}")
        for setting in settings:
            facts = "; ".join(
                filter(None, (f"default {setting.default}" if setting.default else "", setting.limits))
            )
            lines += [".TP", f"\\fB{_escape(setting.name)}\\fR", text(setting.help) or "\\&"]
            lines += [".br", text(facts)] if facts else []
    see = ("limosa(1)", "limosa-conductor(8)", "limosa-compute-agent(8)")
    return "\n".join([*lines, *_see_also(see)]) + "\n"


def _see_also(names: Iterable[str]) -> list[str]:
    return [".SH SEE ALSO", ", ".join(f"\\fB{_escape(n[:-3])}\\fR{n[-3:]}" for n in names)]


def text(words: str) -> str:
    """A paragraph: nothing in it is a request of roff's, and what stands in backticks is bold."""
    escaped = _escape(" ".join(words.split()))
    return _CODE.sub(r"\\fB\1\\fR", escaped)


# ---- parts


def _title(name: str, *, section: int, version: str) -> str:
    # No date: the same code makes the same page. Ragged, without hyphens: what is shown is there to be copied.
    return f'.TH {_escape(name.upper())} {section} "" "Limosa {version}" "Limosa"\n.ad l\n.nh'


def _command(program: Program, command: Command) -> Iterator[str]:
    words = [_escape(word) for word in (program.name, *command.words)]
    operands = [_operand(operand) for operand in command.operands]
    own = [o for o in command.options if not o.is_output and "--help" not in o.flags]
    required = [_flag(option) for option in own if option.is_required]
    yield f".SS \\fB{' '.join(words)}\\fR {' '.join([*required, *operands])}".rstrip()
    yield text(command.summary)
    yield from _listed([*command.operands, *own])


def _operand(option: Option) -> str:
    shown = f"\\fI{_escape(option.metavar)}\\fR" + ("..." if option.is_repeated else "")
    return shown if option.is_required else f"[{shown}]"


def _listed(options: Iterable[Option]) -> Iterator[str]:
    for option in options:
        yield ".TP"
        yield _flag(option) if option.flags else f"\\fI{_escape(option.metavar)}\\fR"
        yield text(option.help + _choices(option)) or "\\&"


def _flag(option: Option) -> str:
    flags = ", ".join(f"\\fB{_escape(flag)}\\fR" for flag in option.flags)
    return f"{flags} \\fI{_escape(option.metavar)}\\fR" if option.metavar else flags


def _choices(option: Option) -> str:
    missing = [choice for choice in option.choices if choice not in option.help + option.metavar]
    return f" (one of: {', '.join(option.choices)})" if missing else ""


def _escape(words: str) -> str:
    escaped = words.replace("\\", "\\e").replace("-", "\\-")
    escaped = _LONG_WORD.sub(lambda word: re.sub(r"(?<=[,/])(?=.)", r"\\:", word[0]), escaped)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
