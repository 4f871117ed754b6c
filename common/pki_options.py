"""[pki]: the certificates by which TLS proves the broker and the hosts to each other. Keys of messages are in [identity]."""

from oslo_config import cfg

PKI_OPTIONS = [
    cfg.StrOpt(
        "ca_certificate",
        default="/etc/limosa/pki/ca.pem",
        help="Certificate of the authority (CA) that hosts, conductors and clients believe. Public.",
    ),
    cfg.StrOpt(
        "ca_certificate_text",
        help="That certificate itself, instead of a file, for the `limosa` command: the PEM text without its first and last "
        "line.",
    ),
    cfg.StrOpt(
        "ca_key",
        default="/etc/limosa/pki/ca.key",
        help="Its private key, on controllers only: with it the conductors issue certificates to hosts.",
    ),
    cfg.StrOpt(
        "host_certificate",
        default="/etc/limosa/pki/host.pem",
        help="This host's certificate, for its libvirtd and for what it talks to.",
    ),
    cfg.StrOpt(
        "host_key",
        default="/etc/limosa/pki/host.key",
        help="The private key of this host's certificate. It is made here, and never travels.",
    ),
    cfg.IntOpt(
        "valid_days",
        default=730,
        min=1,
        max=36_500,
        help="How long a certificate is good that the conductors issue. `limosa doctor` warns 30 days before its end.",
    ),
]
