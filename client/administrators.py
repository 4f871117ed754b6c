"""`limosa admin`: who may ask the conductors for something."""

import argparse
from pathlib import Path

from client.command import ListCommand, ShowCommand, name
from common.errors import LimosaError, OutcomeUnknownError
from common.identity import PrivateKey, PublicKey
from common.states import Role
from common.views import AdministratorRequest, AdministratorView

_KEYS = ("name", "role", "state", "created_at", "created_by", "expires_at", "revoked_at")


class AdminList(ListCommand):
    """List the administrators: their roles, and whether their keys count."""

    kind = AdministratorView
    table_keys = _KEYS

    def fetch(self, _arguments: argparse.Namespace) -> tuple[AdministratorView, ...]:
        return self.conductor.list_administrators()


class AdminCreate(ShowCommand):
    """Register an administrator.

    With --key-file a new key pair is made: the private key stays in that file, for the administrator to take. With
    --public-key it is the administrator who has made the pair, as with `openssl genpkey -algorithm ed25519`.
    """

    kind = AdministratorView
    table_keys = _KEYS

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="NAME", type=name, help="as messages will be signed with it")
        parser.add_argument(
            "--role",
            choices=[role.value for role in Role],
            required=True,
            metavar="|".join(Role),
            help="admin: everything; operator: move guests, en- and disable hosts, declare what guests have; reader: look",
        )
        key = parser.add_mutually_exclusive_group(required=True)
        key.add_argument("--key-file", metavar="FILE", type=Path, help="write a new private key there")
        key.add_argument("--public-key", metavar="FILE", type=Path, help="register this key")
        parser.add_argument(
            "--valid-days",
            metavar="N",
            type=int,
            help="how long the key counts (default: until it is revoked)",
        )
        return parser

    def fetch(self, arguments: argparse.Namespace) -> AdministratorView:
        made = arguments.key_file
        key = PublicKey.load(arguments.public_key) if made is None else _make_key(made)
        request = AdministratorRequest(
            name=arguments.name,
            role=Role(arguments.role),
            public_key=key.to_pem(),
            valid_days=arguments.valid_days,
        )
        try:
            view = self.conductor.create_administrator(request)
        except OutcomeUnknownError:
            if made is not None:
                self.say(f"Whether the key in {made} is registered, `limosa admin list` shows; it is kept.")
            raise
        except LimosaError:
            if made is not None:
                made.unlink(missing_ok=True)  # nobody will know it
            raise
        if made is not None:
            self.say(
                f"The private key is in {made}. {view.name} needs it as [identity]administrator_key, the name as "
                "[identity]administrator, and the conductors' public key, in the limosa.conf of wherever limosa is run."
            )
        return view


class AdminRevoke(ShowCommand):
    """Revoke an administrator's key: from now on it proves nothing.

    The name stays in the list and is not given again, so that the audit remains true.
    """

    kind = AdministratorView
    table_keys = _KEYS

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="NAME", type=name)
        return parser

    def fetch(self, arguments: argparse.Namespace) -> AdministratorView:
        return self.conductor.revoke_administrator(arguments.name)


def _make_key(path: Path) -> PublicKey:
    key = PrivateKey.generate()
    key.save(path)
    return key.public
