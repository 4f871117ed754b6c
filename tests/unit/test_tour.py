"""The page of the tour: the same ids and dates each time, only what this version has, and no secret."""

import pytest

from lab.errors import LabError
from lab.itinerary import CHAPTERS, Chapter, Stop
from lab.tour import Normaliser, Visit, is_command, known_commands, render

CHAPTER = Chapter(title="Move it", text="So.", stops=())


def test_ids_and_dates_are_the_same_each_time_and_differences_stay():
    def page(*, uuid, minute):
        text = f"{uuid} at 2026-11-24T11:{minute}:01.500+00:00, again {uuid} at 2026-11-24T11:{minute}:03.750+00:00"
        return Normaliser().normal(text)

    first = page(uuid="5f0c8a52-5b8c-4a53-8a2e-0d7f6f1c1a11", minute="20")
    again = page(uuid="1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f", minute="47")

    assert first == again
    assert "at 2025-03-01T12:00:00" in first
    assert first.endswith("at 2025-03-01T12:00:02.250+00:00")


def test_two_ids_stay_two():
    first, second = (
        Normaliser()
        .normal("5f0c8a52-5b8c-4a53-8a2e-0d7f6f1c1a11 1f6b2a34-98c1-4b7d-9b0e-7a2f4c3d5e6f")
        .split()
    )

    assert first != second


def test_a_command_that_this_version_does_not_have_is_known_as_such():
    commands = {"list", "service list"}

    assert is_command(Stop.of("list -f json"), commands)
    assert is_command(Stop.of("service list"), commands)
    assert not is_command(Stop.of("service disable compute1"), commands)
    assert not is_command(Stop.of("list", needs="check"), commands)


def test_the_commands_are_those_of_the_client():
    commands = known_commands()

    assert {"list", "live-migration", "migration log", "events"} <= commands
    assert any(is_command(stop, commands) for chapter in CHAPTERS for stop in chapter.stops)


def test_a_visit_is_shown_as_a_terminal_has_it():
    stop = Stop.of("service disable compute1 --reason", "new memory", exit_code=4, before="Look:")

    shown = render(CHAPTER, [Visit(stop=stop, output="No.   \n")])

    assert shown.endswith(
        "Look:\n\n```console\n$ limosa service disable compute1 --reason 'new memory'\nNo.\n```\n\nExit code 4.\n"
    )


def test_no_private_key_gets_onto_the_page():
    with pytest.raises(LabError, match="shows a secret"):
        render(CHAPTER, [Visit(stop=Stop.of("admin create ben"), output="-----BEGIN PRIVATE KEY-----")])
