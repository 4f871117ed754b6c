"""`python -m manual DIRECTORY`: write every manual page and completion there, below man/ and completions/."""

import sys
from importlib.metadata import version
from pathlib import Path

from manual import bash, roff, settings
from manual.programs import programs


def write(directory: Path) -> None:
    """Replace what is there."""
    pages, completions = directory / "man", directory / "completions"
    for made in (pages, completions):
        made.mkdir(parents=True, exist_ok=True)
    current = version("limosa")
    for program in programs():
        (pages / f"{program.name}.{program.section}").write_text(
            roff.page(program, version=current), encoding="utf-8"
        )
        (completions / program.name).write_text(bash.completion(program), encoding="utf-8")
    page = roff.configuration_page(settings.groups(), version=current)
    (pages / "limosa.conf.5").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
