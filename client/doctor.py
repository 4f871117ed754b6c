"""`limosa doctor` and `limosa cpu-baseline`: whether the hosts are fit to move guests between them, and what mends them."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from client.command import ListCommand, ShowCommand, name
from client.exit_codes import ExitCode
from client.rendering import TABLE
from common.diagnosis import BaselineView, Diagnosis, DoctorRequest, Health, line_of, would_stop


class Doctor(ListCommand):
    """Look at all hosts and each pair of them: one line for each thing, and the command that mends it.

    Ends with 4 if anything would stop a migration. Nothing is changed.
    """

    kind = Diagnosis
    table_keys = ("result", "host", "peer", "question", "sentence", "fix")
    _lines: tuple[str, ...] = ()

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            "hosts", metavar="HOST", nargs="*", default=(), type=name, help="only these; all if left out"
        )
        parser.add_argument("--problems", action="store_true", help="leave out what has passed")
        return parser

    def fetch(self, arguments: argparse.Namespace) -> Sequence[Diagnosis]:
        hosts = tuple(dict.fromkeys(arguments.hosts))
        found = self.conductor.diagnose(DoctorRequest(hosts=hosts))
        if would_stop(found):
            self.exit_code = ExitCode.REFUSED
        if arguments.problems:
            found = tuple(each for each in found if each.result is not Health.PASS)
        self._lines = tuple(map(line_of, found))
        return found

    def produce_output(
        self, parsed_args: argparse.Namespace, column_names: Sequence[str], data: Iterable[Any]
    ) -> int:
        """For a person lines, which a terminal may break, instead of a table: each is a sentence and a command."""
        if parsed_args.formatter == TABLE and not parsed_args.columns and not parsed_args.sort_columns:
            for line in self._lines:
                print(line, file=self.app.stdout)
            return 0
        code: int = super().produce_output(parsed_args, column_names, data)
        return code


class CpuBaseline(ShowCommand):
    """Show the CPU that all of these hosts can give a guest, for the guest's XML."""

    kind = BaselineView
    table_keys = ("model", "hosts", "features", "xml")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("hosts", metavar="HOST", nargs="+", type=name, help="a compute host")
        return parser

    def fetch(self, arguments: argparse.Namespace) -> BaselineView:
        return self.conductor.cpu_baseline(tuple(dict.fromkeys(arguments.hosts)))
