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
    return tuple(line.removeprefix(_MADE) for line in _block(text) if line.startswith(_MADE))


def without_block(text: str) -> str:
    """Empty, where nothing else was in it."""
    kept, is_inside = [], False
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\n")
        if bare == BEGIN:
            is_inside = True
        if not is_inside:
            kept.append(line)
        if bare == END:
            is_inside = False
    return "".join(kept)


def _block(text: str) -> list[str]:
    lines = text.splitlines()
    if BEGIN not in lines:
        return []
    inside = lines[lines.index(BEGIN) :]
    return inside[: inside.index(END)] if END in inside else inside
