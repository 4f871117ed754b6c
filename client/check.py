"""`limosa check`: whether an instance could be moved, and what speaks against it, without moving it."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace

from client.command import ListCommand, add_instance, add_storage_mode, name
from client.exit_codes import ExitCode
from client.rendering import TABLE
from common.checks import Finding
from common.states import CheckResult
from common.views import HOSTS_PER_CHECK_MAX, CheckRequest, HostCheckView

HOSTS_MAX = 1_000  # asked where none is named


class Check(ListCommand):
    """Show which hosts could take an instance, and why the others could not. Nothing is moved.

    Without HOST all hosts are asked, and it is enough that one of them could take it.
    """

    kind = HostCheckView
    table_keys = ("host", "result", "findings")
    _hints: tuple[str, ...] = ()

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_instance(parser)
        # With a default, or argparse names HOST among what is required.
        parser.add_argument(
            "hosts", metavar="HOST", nargs="*", default=(), type=name, help="where to; all if left out"
        )
        add_storage_mode(parser)
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """The table, and below it what to do; programs find that beside each finding."""
        code = super().run(parsed_args)
        for hint in self._hints:
            self.say(hint)
        return code

    def fetch(self, arguments: argparse.Namespace) -> Sequence[HostCheckView]:
        hosts = tuple(dict.fromkeys(arguments.hosts))
        asked = CheckRequest(instance=arguments.instance, storage=arguments.storage)
        views = self._check_named(asked, hosts) if hosts else self._check_all(asked)
        is_fit = [view.result is CheckResult.FITS for view in views]
        if not (all(is_fit) if hosts else any(is_fit)):
            self.exit_code = ExitCode.REFUSED
        if arguments.formatter == TABLE:
            self._hints = _hints(finding for view in views for finding in view.findings)
            if not arguments.columns:
                return [_under_its_host(view) for view in views]
        return views

    def _check_named(self, asked: CheckRequest, hosts: tuple[str, ...]) -> Sequence[HostCheckView]:
        views: list[HostCheckView] = []
        for first in range(0, len(hosts), HOSTS_PER_CHECK_MAX):
            page = hosts[first : first + HOSTS_PER_CHECK_MAX]
            views += self.conductor.check_instance(replace(asked, hosts=page))
        return views

    def _check_all(self, asked: CheckRequest) -> Sequence[HostCheckView]:
        """A full page is followed by another, up to HOSTS_MAX; what is left out then is said."""
        views: list[HostCheckView] = []
        while len(views) < HOSTS_MAX:
            after = views[-1].host if views else ""
            page = self.conductor.check_instance(replace(asked, after=after))
            views += page
            if len(page) < HOSTS_PER_CHECK_MAX:
                return views
        self.say(f"Only the first {len(views)} hosts were asked; name the others to ask them, too.")
        return views


def _under_its_host(view: HostCheckView) -> HostCheckView:
    """For a table: beside its host, a finding on that host need not name it again."""
    findings = (
        replace(finding, host="") if finding.host == view.host else finding for finding in view.findings
    )
    return replace(view, findings=tuple(findings))


def _hints(findings: Iterable[Finding]) -> tuple[str, ...]:
    """One line for each thing to do, in the order of the table."""
    return tuple(dict.fromkeys(f"[{finding.code}] {finding.hint}" for finding in findings if finding.hint))
