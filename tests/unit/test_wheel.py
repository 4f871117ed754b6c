"""What setup.cfg puts into the wheel: everything that is there, or the installed program lacks a part of itself."""

import configparser
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SHIPPED = ("common", "conductor", "compute_agent", "client")


@pytest.fixture(scope="module")
def metadata() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(CHECKOUT / "setup.cfg")
    return parser


def test_every_directory_with_modules_is_a_package_of_the_wheel(metadata):
    there = {
        ".".join(module.parent.relative_to(CHECKOUT).parts)
        for name in SHIPPED
        for module in (CHECKOUT / name).rglob("*.py")
    }

    assert set(metadata["options"]["packages"].split()) == there


def test_every_entry_point_is_there(metadata):
    sections = metadata["options.entry_points"]
    lines = [line for group in sections.values() for line in group.strip().splitlines()]
    assert lines

    for line in lines:
        name, _, value = (part.strip() for part in line.partition("="))
        assert callable(EntryPoint(name=name, value=value, group="").load()), line
