"""`limosa audit list`: who has asked for what, and what became of it."""

import argparse

from client.command import ListCommand, add_limit, name
from common.states import AuditResult
from common.views import AuditFilter, AuditView


class AuditList(ListCommand):
    """List all that was to change something, and all that was refused, newest first.

    Of a line that is `rejected` the signer is only claimed.
    """

    kind = AuditView
    table_keys = ("at", "signer", "method", "target", "result", "detail")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--signer", metavar="NAME", type=name, help="only what this one has sent")
        parser.add_argument(
            "--result", choices=[result.value for result in AuditResult], metavar="|".join(AuditResult)
        )
        add_limit(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> tuple[AuditView, ...]:
        result = AuditResult(arguments.result) if arguments.result else None
        which = AuditFilter(signer=arguments.signer, result=result, limit=arguments.limit)
        return self.conductor.list_audit(which)
