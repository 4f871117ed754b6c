"""`limosa-compute-agent renew-certificate`: a new key and certificate, before the old one ends, or with other names."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from common import tools

if TYPE_CHECKING:
    from oslo_config import cfg


def add_to(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    renewing = commands.add_parser(
        "renew-certificate", parents=[common], help="get a new certificate for this host from the conductors"
    )
    renewing.set_defaults(run=_renew)


def _renew(arguments: argparse.Namespace) -> None:
    from common import certificates
    from compute_agent.libvirt_setup import copies

    conf = tools.configuration(arguments)
    certificate = renew(conf)
    facts = certificates.read(certificate)
    tools.say(
        f"The new certificate of {conf.host} is {conf.pki.host_certificate}: for {', '.join(facts.names)}, until "
        f"{facts.not_after:%Y-%m-%d}."
    )
    authority = Path(conf.pki.ca_certificate).read_text(encoding="ascii")
    if copies.are_of(authority, state_path=Path(conf.state_path)):
        tools.say(
            f"libvirt and QEMU have copies of the old one still: `{_refresh(conf)}` brings them the new one."
        )


def _refresh(conf: "cfg.ConfigOpts") -> str:
    """libvirt-setup as it was run here; alone it means tls."""
    command, scheme = "limosa-compute-agent libvirt-setup --apply", conf.libvirt.live_migration_scheme
    return command + {"ssh": " --transport ssh", "tcp": " --transport tcp --insecure"}.get(scheme, "")


def renew(conf: "cfg.ConfigOpts") -> str:
    """The certificate, which is in its place with its key. Raises CertificateError, ServiceUnreachableError: the old stays.

    Between the two files' writings they do not fit; done again, they do.
    """
    from common import certificates, credentials, new_files
    from common.conductor_api import ConductorAPI
    from common.rpc import Bus
    from compute_agent.joining import places

    authority = Path(conf.pki.ca_certificate).read_text(encoding="ascii")
    request, key = certificates.new_request(conf.host, [conf.host])
    bus = Bus(conf, identity=credentials.of_host(conf), keyring=credentials.conductors_key(conf))
    try:
        certificate = ConductorAPI(bus).renew_certificate(conf.host, request)
    finally:
        bus.close()
    found = certificates.problems(
        certificate, authority_pem=authority, names=[conf.host], now=datetime.now(UTC)
    )
    if found or not certificates.is_key_of(key, certificate):
        reason = " ".join(found) or "it is for another key"
        raise certificates.CertificateError(what="The new certificate", reason=reason.rstrip("."))
    new_files.replace(Path(conf.pki.host_key), key, mode=places.SECRET_MODE)
    new_files.replace(Path(conf.pki.host_certificate), certificate, mode=places.PUBLIC_MODE)
    return certificate
