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

    With --client-conf a new key pair is made and a user of RabbitMQ: that one file is all that the administrator needs, as
    ~/.config/limosa/client.conf where he works. With --key-file only the key is made, and with --public-key it is the
    administrator who has made the pair, as with `openssl genpkey -algorithm ed25519`: then the message bus must let him in
    otherwise.
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
        key.add_argument(
            "--client-conf", metavar="FILE", type=Path, help="write there all that the administrator needs"
        )
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
        if arguments.client_conf is not None:
            return self._create_with_file(arguments, arguments.client_conf)
        if arguments.key_file is not None:
            return self._create_with_key(arguments, arguments.key_file)
        return self.conductor.create_administrator(_request(arguments, PublicKey.load(arguments.public_key)))

    def _create_with_file(self, arguments: argparse.Namespace, path: Path) -> AdministratorView:
        """Nothing of it has gone out before it is in the file: neither key nor password can be got again."""
        from client import introduction

        key, password_hash = introduction.write(self.app.options.config_files, path, name=arguments.name)
        view = self._create(_request(arguments, key, password_hash=password_hash), path)
        self.say(
            f"All that {view.name} needs is in {path}: to be put to ~/.config/limosa/client.conf (chmod 600)."
        )
        return view

    def _create_with_key(self, arguments: argparse.Namespace, path: Path) -> AdministratorView:
        view = self._create(_request(arguments, _make_key(path)), path)
        self.say(
            f"The private key is in {path}. {view.name} needs it as [identity]administrator_key, the name as "
            "[identity]administrator, and the conductors' public key, in the limosa.conf of wherever limosa is run."
        )
        return view

    def _create(self, request: AdministratorRequest, made: Path) -> AdministratorView:
        """Who is refused leaves nothing in the file: nobody will know that key."""
        try:
            return self.conductor.create_administrator(request)
        except OutcomeUnknownError:
            self.say(f"Whether the key in {made} is registered, `limosa admin list` shows; it is kept.")
            raise
        except LimosaError:
            made.unlink(missing_ok=True)
            raise


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


def _request(
    arguments: argparse.Namespace, key: PublicKey, *, password_hash: str | None = None
) -> AdministratorRequest:
    return AdministratorRequest(
        name=arguments.name,
        role=Role(arguments.role),
        public_key=key.to_pem(),
        valid_days=arguments.valid_days,
        password_hash=password_hash,
    )


def _make_key(path: Path) -> PublicKey:
    key = PrivateKey.generate()
    key.save(path)
    return key.public
