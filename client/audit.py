"""`limosa audit list`: who has asked for what, and what became of it."""

import argparse

from client.command import ListCommand, name
from common.states import AuditResult
from common.views import AuditFilter, AuditView

DEFAULT_LIMIT = 100


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
            "--result", type=AuditResult, choices=list(AuditResult), metavar="|".join(AuditResult)
        )
        parser.add_argument("--limit", metavar="N", type=int, default=DEFAULT_LIMIT)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> tuple[AuditView, ...]:
        which = AuditFilter(signer=arguments.signer, result=arguments.result, limit=arguments.limit)
        return self.conductor.list_audit(which)
