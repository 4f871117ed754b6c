"""That each suite of tests can be run by its name."""

import configparser

from lab.paths import CHECKOUT


def test_tox_knows_every_directory_of_tests():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(CHECKOUT / "tox.ini")
    listed = {name.strip() for name in parser["tox"]["env_list"].split(",")}
    named = {
        section.removeprefix("testenv:") for section in parser.sections() if section.startswith("testenv:")
    }

    suites = {file.parent.name for file in (CHECKOUT / "tests").glob("*/test_*.py")}

    assert {"unit", "vm", "packages"} <= suites
    assert suites <= listed | named
