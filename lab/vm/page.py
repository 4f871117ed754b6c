"""The commands of a page of docs: fenced blocks that say on which machines they are typed.

    ```sh compute1 compute2
    apt install limosa-compute-agent
    ```

Every block whose first word is `sh` is executed, on each of its machines in turn; other blocks are only shown.
"""

from dataclasses import dataclass

from lab.errors import LabError
from lab.vm import network

_FENCE = "```"
_SHELL = "sh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    machines: tuple[str, ...]
    script: str
    line: int  # of its first command on the page

    @property
    def commands(self) -> int:
        """Return how many commands a reader types; one may go on in the next line after a backslash."""
        lines = self.script.splitlines()
        return sum(
            1
            for number, line in enumerate(lines)
            if line.strip() and not line.startswith("#") and not (number and lines[number - 1].endswith("\\"))
        )


def blocks(text: str) -> tuple[Block, ...]:
    """Return the page's blocks in their order; raises LabError where one names no machine, or none that there is."""
    found: list[Block] = []
    opened: tuple[tuple[str, ...], int] | None = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith(_FENCE):
            lines.append(line)
        elif opened is None:
            opened, lines = (tuple(line.removeprefix(_FENCE).split()), number + 1), []
        else:
            words, first_line = opened
            if words[:1] == (_SHELL,):
                machines = _machines(words[1:], line=first_line - 1)
                found.append(Block(machines=machines, script="\n".join(lines) + "\n", line=first_line))
            opened = None
    if opened is not None:
        raise LabError(f"line {opened[1] - 1}: this block is never closed")
    return tuple(found)


def _machines(words: tuple[str, ...], *, line: int) -> tuple[str, ...]:
    unknown = [word for word in words if word not in network.NAMES]
    if unknown or not words:
        raise LabError(
            f"line {line}: a block of commands names {' '.join(unknown) or 'no machine'}",
            hint=f"there are: {' '.join(network.NAMES)}",
        )
    return words
