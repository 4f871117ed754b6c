"""Add users to a file of RabbitMQ's definitions: `broker_users.py FILE`, with names, passwords and rights on stdin.

Run by the venv's Python, since the rights are Limosa's: a host's, an administrator's, or all (for the lab itself).
"""

import json
import sys
from pathlib import Path

from common import broker_names, broker_rights
from common.broker_passwords import hashed
from common.identity import Kind, Principal
from conductor.broker_configuration import User, definitions

CONTROL_EXCHANGE = "limosa"


def main() -> None:
    path, wanted = Path(sys.argv[1]), json.load(sys.stdin)
    told = json.loads(path.read_text())
    virtual_host = told["vhosts"][0]["name"]
    everything = broker_rights.Rights(configure=".*", write=".*", read=".*")
    users = {
        wanted["lab"]["name"]: User(
            password_hash=hashed(wanted["lab"]["password"]), rights=everything, tags=("administrator",)
        )
    }
    for host, password in wanted["hosts"].items():
        name = broker_names.user_of(Principal(kind=Kind.HOST, name=host))
        rights = broker_rights.of_host(host, control_exchange=CONTROL_EXCHANGE)
        users[name] = User(password_hash=hashed(password), rights=rights)
    added = definitions(users, virtual_host=virtual_host, control_exchange=CONTROL_EXCHANGE)
    for kind in ("users", "permissions", "topic_permissions"):
        told[kind] += added[kind]
    path.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
