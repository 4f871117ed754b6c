"""The three programs, read from the code that they run."""

from typing import Any, Final

from client.shell import COMMANDS, Shell
from compute_agent import management as agent
from conductor import management as conductor
from manual.commands import Command, Program, commands_of, operands_of, options_of

_CONFIGURATION: Final = "limosa.conf(5)"


def programs() -> tuple[Program, ...]:
    return (
        _client(),
        _service(conductor, "let hosts' guests be live-migrated"),
        _service(agent, "move a host's guests"),
    )


def _service(management: Any, summary: str) -> Program:
    parser = management.parser()
    others = [name for name in ("limosa-conductor(8)", "limosa-compute-agent(8)") if parser.prog not in name]
    return Program(
        name=parser.prog,
        section=8,
        summary=summary,
        description=parser.description,
        options=options_of(parser),
        commands=tuple(commands_of(parser)),
        see_also=("limosa(1)", *others, _CONFIGURATION),
    )


def _client() -> Program:
    shell = Shell(connect=_no_connection)
    parser = shell.parser
    return Program(
        name=Shell.NAME,
        section=1,
        summary="live-migrate the guests of libvirt hosts",
        description=parser.description or "",
        options=options_of(parser),
        commands=tuple(_client_command(shell, name) for name in sorted(shell.command_manager.commands)),
        see_also=("limosa-conductor(8)", "limosa-compute-agent(8)", _CONFIGURATION),
    )


def _client_command(shell: Shell, name: str) -> Command:
    """cliff loads a command by its words, as it does for one that is typed."""
    factory, _, _ = shell.command_manager.find_command(name.split())
    command = factory(shell, None, cmd_name=name)
    parser = command.get_parser(f"{Shell.NAME} {name}")
    return Command(
        words=tuple(name.split()),
        summary=(parser.description or "").strip(),
        options=options_of(parser),
        operands=operands_of(parser),
    )


def _no_connection(_files: object) -> Any:
    raise AssertionError(f"no command of {COMMANDS} runs while its parser is read")
