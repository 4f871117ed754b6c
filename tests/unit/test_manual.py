"""The manual pages and the completion: nothing that a program takes is missing, and they are well formed."""

import argparse
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from manual import bash, roff, settings
from manual.__main__ import write
from manual.commands import Program
from manual.programs import programs

from common import config
from compute_agent import management as agent
from conductor import management as conductor

PROGRAMS = {program.name: program for program in programs()}


def plain(page: str) -> str:
    """The page's words, without roff's escapes."""
    return re.sub(r"\\f[BIR]|\\[&:]", "", page).replace("\\-", "-").replace("\\e", "\\")


def parsers_below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action.choices.values():
                yield from parsers_below(choice)


@pytest.mark.parametrize("module", [agent, conductor], ids=["agent", "conductor"])
def test_every_command_of_a_service_and_each_option_is_on_its_page(module):
    parser = module.parser()
    page = plain(roff.page(PROGRAMS[parser.prog], version="1"))

    for below in parsers_below(parser):
        is_group = any(isinstance(action, argparse._SubParsersAction) for action in below._actions)
        assert is_group or f".SS {below.prog}" in page
        for action in below._actions:
            assert all(flag in page for flag in action.option_strings)


def test_every_command_of_the_client_is_on_its_page():
    page = plain(roff.page(PROGRAMS["limosa"], version="1"))

    names = {entry_point.name for entry_point in entry_points(group="limosa.client")}
    assert names
    for name in names:
        assert re.search(rf"^\.SS limosa {name}( |$)", page, re.MULTILINE), name
    assert "--block-migrate" in page
    assert page.count("--sort-column") == 1  # what every command takes is told once


def test_every_option_of_the_file_is_on_the_page_of_the_configuration():
    page = plain(roff.configuration_page(settings.groups(), version="1"))

    for group, options in config.list_opts():
        assert f"[{group or 'DEFAULT'}]" in page
        for option in options:
            assert f"\n{option.name}\n" in page


def test_man_has_no_complaint_about_any_page(tmp_path):
    write(tmp_path)

    pages = sorted((tmp_path / "man").iterdir())
    assert len(pages) == len(PROGRAMS) + 1
    for page in pages:
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z", str(page)], capture_output=True, text=True, check=True
        )
        assert done.stderr == "", page.name


def test_what_stands_first_on_a_line_is_never_a_request_of_roffs():
    assert roff.text(".so /etc/passwd") == "\\&.so /etc/passwd"
    assert roff.text("'tis \\n(hy `--on`") == "\\&'tis \\en(hy \\fB\\-\\-on\\fR"


class Shell:
    """bash, with a program's completion read."""

    def __init__(self, directory: Path, program: Program) -> None:
        self.program = program
        self.script = directory / program.name
        self.script.write_text(bash.completion(program))

    def proposals(self, *typed: str) -> set[str]:
        words = [self.program.name, *typed]
        driver = (
            'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n'
            f'_{self.program.name.replace("-", "_")} "$1" "${{@: -1}}" "${{@: -2:1}}"; printf "%s\\n" "${{COMPREPLY[@]}}"'
        )
        done = subprocess.run(
            ["bash", "--norc", "-uc", driver, "bash", str(self.script), *words],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return set(done.stdout.split())


@pytest.fixture
def shell(tmp_path):
    return lambda name: Shell(tmp_path, PROGRAMS[name])


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_word_and_flag_of_every_command_is_proposed(shell, name):
    script = Path(shell(name).script).read_text()

    for command in PROGRAMS[name].commands:
        *before, last = command.words
        following = re.search(rf"^    follows\['?{' '.join([name, *before])}'?\]=(.*)$", script, re.MULTILINE)
        assert following and last in following[1].strip("'").split()
        flags = re.search(
            rf"^    flags\['?{' '.join([name, *command.words])}'?\]=(.*)$", script, re.MULTILINE
        )
        assert flags and set(flags[1].strip("'").split()) == {f for o in command.options for f in o.flags}


def test_commands_are_proposed_behind_options_with_values(shell, tmp_path):
    limosa = shell("limosa")

    assert {"migration", "list", "check"} <= limosa.proposals("")
    assert limosa.proposals("mig") == {"migration"}
    assert limosa.proposals("--config-file", "migration", "security-group", "rule", "") == {"add", "remove"}


def test_flags_values_and_files_are_proposed(shell, tmp_path):
    limosa = shell("limosa")
    (tmp_path / "some.conf").touch()

    assert "--timeout" in limosa.proposals("live-migration", "web1", "--")
    assert {"json", "yaml"} <= limosa.proposals("list", "-f", "")
    assert limosa.proposals("--config-file", f"{tmp_path}/so") == {f"{tmp_path}/some.conf"}
    assert "add" in shell("limosa-conductor").proposals("host", "")
