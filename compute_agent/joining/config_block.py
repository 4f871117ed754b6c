"""The lines of limosa.conf that `join` adds and `leave` removes; what an operator has written around them stays."""

from collections.abc import Mapping, Sequence
from typing import Final

BEGIN: Final = "# ---- from here to the end mark: of `limosa-compute-agent join`; `limosa-compute-agent leave` removes it"
END: Final = "# ---- the end of what `limosa-compute-agent join` has written"
_MADE: Final = "# made here: "

Values = Mapping[str, Mapping[str, str]]  # group -> option -> value


def text_of(values: Values) -> str:
    lines = []
    for group, options in values.items():
        lines.append(f"[{group}]")
        lines += [f"{name} = {value}" for name, value in options.items()]
    return "\n".join(lines) + "\n"


def with_block(text: str, values: Values, *, made: Sequence[str]) -> str:
    """Behind everything else: of an option that stands twice, the last counts. `made`: files that go with it."""
    before = text if not text or text.endswith("\n") else text + "\n"
    marks = "".join(f"{_MADE}{path}\n" for path in made)
    return f"{before}{BEGIN}\n{marks}{text_of(values)}{END}\n"


def has_block(text: str) -> bool:
    return BEGIN in text.splitlines()


def made_in(text: str) -> tuple[str, ...]:
    """The files that go with the block."""
    return tuple(line.removeprefix(_MADE) for line in block_of(text).splitlines() if line.startswith(_MADE))


def without_block(text: str) -> str:
    """Empty, where nothing else was in it."""
    before, _, after = _parts(text)
    return before + after


def block_of(text: str) -> str:
    """With its marks; empty, where there is none."""
    return _parts(text)[1]


def _parts(text: str) -> tuple[str, str, str]:
    """Before the block, it, and behind it."""
    lines = text.splitlines(keepends=True)
    bare = [line.rstrip("\n") for line in lines]
    if BEGIN not in bare:
        return text, "", ""
    start = bare.index(BEGIN)
    end = bare.index(END, start) + 1 if END in bare[start:] else len(lines)
    return "".join(lines[:start]), "".join(lines[start:end]), "".join(lines[end:])
