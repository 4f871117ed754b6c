"""[broker]: how a conductor manages RabbitMQ's users. `limosa-conductor broker-setup` writes them."""

from oslo_config import cfg

from common.broker_names import MANAGEMENT_USER

BROKER_OPTIONS = [
    cfg.StrOpt(
        "management_url",
        default="http://127.0.0.1:15672",
        help="RabbitMQ's management API, where the conductors make a user for each host that joins. Let it listen "
        "where only controllers reach it.",
    ),
    cfg.StrOpt(
        "management_user",
        default=MANAGEMENT_USER,
        help="A user with RabbitMQ's tag `administrator`.",
    ),
    cfg.StrOpt(
        "management_password",
        secret=True,
        help="Its password.",
    ),
    cfg.StrOpt(
        "management_ca_file",
        default="",
        help="Whose certificates are believed where management_url is https; unset: those that this machine trusts.",
    ),
]
