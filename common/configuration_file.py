"""Options set in a file like limosa.conf, whose other lines, comments among them, stay as they are. Pure."""

import re
from collections.abc import Mapping
from typing import Final

Options = Mapping[tuple[str, str], str]  # (section, option) -> value

_SECTION: Final = re.compile(r"\[(?P<name>[^\]]+)\]\s*")


def with_options(text: str, values: Options) -> str:
    """The text with these values: in the place of the old ones, else first in their section, else at the end."""
    lines = text.splitlines()
    for (section, option), value in values.items():
        _set(lines, section, option, f"{option} = {_escaped(value)}")
    return "\n".join(lines) + "\n"


def _set(lines: list[str], section: str, option: str, line: str) -> None:
    start = _start_of(lines, section)
    if start is None:
        lines += [*([""] if lines else []), f"[{section}]", line]
        return
    end = next((i for i in range(start, len(lines)) if _SECTION.fullmatch(lines[i])), len(lines))
    old = [i for i in range(start, end) if re.match(rf"{re.escape(option)}\s*[=:]", lines[i])]
    if not old:
        lines.insert(start, line)
        return
    lines[old[0]] = line
    for i in reversed(old[1:]):  # the last one would have counted
        del lines[i]


def _start_of(lines: list[str], section: str) -> int | None:
    """The index of the first line in the section, without its header."""
    for i, line in enumerate(lines):
        found = _SECTION.fullmatch(line)
        if found is not None and found["name"] == section:
            return i + 1
    return None


def _escaped(value: str) -> str:
    """In oslo.config's files $ stands before the name of another option."""
    return value.replace("$", "$$")
