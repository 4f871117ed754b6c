"""The blocks of a page that are executed in the VM lab."""

import pytest

from lab.errors import LabError
from lab.paths import CHECKOUT
from lab.vm import page

PAGE = """\
# Title

```sh controller
apt install limosa-conductor
limosa-conductor broker-setup
```

Shown only:

```ini
[DEFAULT]
```

```sh compute1 compute2
# as root
limosa-compute-agent join \\
    amqps://controller CODE
```
"""


def test_blocks_are_found_in_order_with_their_machines() -> None:
    first, second = page.blocks(PAGE)
    assert first.machines == ("controller",)
    assert first.script == "apt install limosa-conductor\nlimosa-conductor broker-setup\n"
    assert first.line == 4
    assert second.machines == ("compute1", "compute2")


def test_commands_are_counted_as_a_reader_types_them() -> None:
    first, second = page.blocks(PAGE)
    assert (first.commands, second.commands) == (2, 1)


@pytest.mark.parametrize("words", ["sh", "sh comptue1"])
def test_a_block_without_a_machine_is_refused_with_its_line(words: str) -> None:
    with pytest.raises(LabError, match="line 2: a block of commands names"):
        page.blocks(f"text\n```{words}\ntrue\n```\n")


def test_a_block_that_is_never_closed_is_refused() -> None:
    with pytest.raises(LabError, match="line 1: this block is never closed"):
        page.blocks("```sh controller\ntrue\n")


def test_the_first_migration_is_at_most_twelve_commands_away() -> None:
    # What one types on both hosts counts once; shared storage is the administrator's own.
    text = (CHECKOUT / "docs" / "install.md").read_text().partition("## Shared storage by NFS")[0]
    assert sum(block.commands for block in page.blocks(text)) <= 12
