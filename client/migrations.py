"""`limosa migration list|show|log|abort`: what was moved, how it went, and how to stop it."""

import argparse

from client.command import ListCommand, MigrationCommand, add_limit, add_migration, name
from common.errors import InvalidRequestError
from common.views import JournalView, MigrationFilter, MigrationView


class MigrationList(ListCommand):
    """List migrations, the newest first."""

    kind = MigrationView
    table_keys = ("id", "instance_name", "status", "source", "dest", "seconds", "downtime_ms", "created_at")

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            "--instance", metavar="INSTANCE", type=name, help="only those of this instance (name or uuid)"
        )
        parser.add_argument("--host", metavar="HOST", type=name, help="only those from or to this host")
        parser.add_argument("--open", action="store_true", help="only those that have not ended")
        add_limit(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> tuple[MigrationView, ...]:
        wanted = MigrationFilter(
            instance=arguments.instance,
            host=arguments.host,
            is_open=True if arguments.open else None,
            limit=arguments.limit,
        )
        return self.conductor.list_migrations(wanted)


class MigrationShow(MigrationCommand):
    """Show one migration: its steps and their times, its downtime, all findings."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_migration(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> MigrationView:
        return self.conductor.show_migration(arguments.migration)


class MigrationLog(ListCommand):
    """Tell the story of one migration: what was decided when, and what the hosts answered.

    Seconds count from the moment in which it was accepted. Phase and host: what was begun upon it, and where.
    """

    kind = JournalView
    table_keys = ("seconds", "sentence", "phase", "host")
    need_sort_by_cliff = False  # a story has its own order

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_migration(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> tuple[JournalView, ...]:
        return self.conductor.migration_log(arguments.migration)


class MigrationAbort(MigrationCommand):
    """Ask for a running migration to be stopped; the guest stays on its source.

    Returns when the request is accepted. `limosa migration watch` shows how it ends: a guest that has moved in the
    meantime is not moved back.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_migration(parser)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> MigrationView:
        return self.conductor.abort_migration(arguments.migration)


class MigrationJudge(MigrationCommand):
    """Have a migration that needs an operator judged again: both hosts are asked what they see.

    With --down-host, that host is taken as off for good. Say so only of a host that is: if the guest still runs
    there, it may come to run twice. Refused for a host whose agent is heard.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_migration(parser)
        parser.add_argument("--down-host", metavar="HOST", type=name, help="this host is off, and stays off")
        parser.add_argument("--yes", action="store_true", help="needed with --down-host")
        return parser

    def fetch(self, arguments: argparse.Namespace) -> MigrationView:
        if arguments.down_host is not None and not arguments.yes:
            raise InvalidRequestError(
                reason=f"A guest that still runs on {arguments.down_host} may come to run twice: "
                "make sure that this host is off, then add --yes."
            )
        return self.conductor.judge_migration(arguments.migration, down_host=arguments.down_host)
