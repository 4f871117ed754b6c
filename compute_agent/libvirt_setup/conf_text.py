"""Texts of configuration files with one setting changed, and everything else as its author left it. Pure."""

import re
import shlex
from collections.abc import Mapping

_MARK = "# Set by limosa-compute-agent libvirt-setup:"


def with_settings(text: str, settings: Mapping[str, str | int]) -> str:
    """A file in libvirt's own format (libvirtd.conf, qemu.conf) that has these settings."""
    for name, value in settings.items():
        text = _with_setting(text, name, f'"{value}"' if isinstance(value, str) else str(value))
    return text


def setting(text: str, name: str) -> str:
    """Its value in such a file, without quotation marks; empty where it is not set."""
    found = re.findall(rf"^[ \t]*{name}[ \t]*=[ \t]*([^#\n]*?)[ \t]*(?:#.*)?$", text, re.MULTILINE)
    return found[0].strip("\"'") if found else ""


def with_listen(text: str, variable: str) -> str:
    """A file of a service's environment whose `variable` has the argument --listen."""
    if has_listen(text, variable):
        return text
    # The time after which an idle daemon ends goes: without systemd's sockets nothing would start it again.
    return _with_variable(text, variable, shlex.join([*_without_timeout(_words(text, variable)), "--listen"]))


def without_listen(text: str, variable: str) -> str:
    if not has_listen(text, variable):
        return text
    words = (word for word in _words(text, variable) if word not in ("--listen", "-l"))
    return _with_variable(text, variable, shlex.join(words))


def has_listen(text: str, variable: str) -> bool:
    return any(word in ("--listen", "-l") for word in _words(text, variable))


def with_option(text: str, *, section: str, option: str, value: str) -> str:
    """A file in oslo.config's format whose section has the option."""
    lines = text.splitlines()
    line = f"{option} = {value}"
    if found := _lines_of(lines, section=section, name=option):
        lines[found[-1]] = line
    elif starts := _section_starts(lines, section):
        lines.insert(starts[-1] + 1, line)
    else:
        return "\n".join([*lines, *([""] if lines else []), f"[{section}]", line, ""])
    return "\n".join([*lines, ""])


def option(text: str, *, section: str, name: str) -> str:
    """Its value in such a file; empty where it is not set."""
    lines = text.splitlines()
    found = _lines_of(lines, section=section, name=name)
    return re.split("[=:]", lines[found[-1]], maxsplit=1)[1].strip() if found else ""


def _with_setting(text: str, name: str, value: str) -> str:
    """In the place of the one that is there, or behind the comment that has it, or at the end."""
    wanted = f"{name} = {value}"
    pattern = re.compile(rf"^[ \t]*{name}[ \t]*=.*$", re.MULTILINE)
    if pattern.search(text):
        return pattern.sub(lambda _: wanted, text)
    comment = re.search(rf"^#[ \t]*{name}[ \t]*=.*$", text, re.MULTILINE)
    if comment is not None:
        return f"{text[: comment.end()]}\n{_MARK}\n{wanted}{text[comment.end() :]}"
    start = text if not text or text.endswith("\n") else text + "\n"
    return f"{start}{_MARK}\n{wanted}\n"


def _words(text: str, variable: str) -> list[str]:
    """Raises ValueError where a quotation mark has no end."""
    found = re.findall(rf"^[ \t]*{variable}[ \t]*=(.*)$", text, re.MULTILINE)
    return shlex.split(" ".join(shlex.split(found[-1]))) if found else []


def _without_timeout(words: list[str]) -> list[str]:
    kept: list[str] = []
    is_value = False
    for word in words:
        is_name = word in ("--timeout", "-t")
        if not (is_value or is_name or word.startswith("--timeout=")):
            kept.append(word)
        is_value = is_name
    return kept


def _with_variable(text: str, variable: str, value: str) -> str:
    line = f'{variable}="{value}"'
    pattern = re.compile(rf"^[ \t]*{variable}[ \t]*=.*$", re.MULTILINE)
    if pattern.search(text):
        return pattern.sub(lambda _: line, text)
    start = text if not text or text.endswith("\n") else text + "\n"
    return f"{start}{_MARK}\n{line}\n"


def _lines_of(lines: list[str], *, section: str, name: str) -> list[int]:
    """All that set it, in all sections of that name: oslo.config joins these, and takes the last line."""
    return [
        number
        for start in _section_starts(lines, section)
        for number in range(start + 1, _section_end(lines, start))
        if re.match(rf"{name}\s*[=:]", lines[number])
    ]


def _section_starts(lines: list[str], section: str) -> list[int]:
    return [number for number, line in enumerate(lines) if line.strip() == f"[{section}]"]


def _section_end(lines: list[str], start: int) -> int:
    later = (number for number in range(start + 1, len(lines)) if lines[number].startswith("["))
    return next(later, len(lines))
