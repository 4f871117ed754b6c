"""The contract of secrets, for libvirt and for the fake: made, told to those who ask over a libvirtd, and removed."""

from uuid import uuid4

import pytest

from compute_agent.hypervisor.libvirt_errors import HypervisorUnreachableError
from compute_agent.hypervisor.secrets import Secret, SecretValue
from tests.contract.hypervisor_sites import Site

VALUE = SecretValue(data=b"top\x00secret\n")


def made(site: Site, **options: object) -> Secret:
    secret = Secret(**{"uuid": str(uuid4()), **options})  # type: ignore[arg-type]
    site.source.define_secret(secret, VALUE)
    return secret


@pytest.mark.parametrize(
    "options", [{}, {"kind": "iscsi", "usage": "a <target>"}, {"kind": "ceph", "usage": "client.a"}]
)
def test_a_secret_is_found_by_uuid_and_usage_and_read_by_another_host(
    site: Site, options: dict[str, str]
) -> None:
    secret = made(site, **options)
    try:
        assert site.source.secret(secret.uuid) == secret
        assert site.dest.secret(secret.uuid) is None
        for name in filter(None, (secret.uuid, secret.usage)):
            assert site.dest.secret_at(site.source_uri, name) == secret
            assert site.dest.secret_value_at(site.source_uri, name) == VALUE
    finally:
        site.source.remove_secret(secret.uuid)
        site.source.remove_secret(secret.uuid)
    assert site.source.secret(secret.uuid) is None
    assert site.dest.secret_value_at(site.source_uri, secret.uuid) is None


def test_a_private_secret_tells_its_value_to_nobody(site: Site) -> None:
    secret = made(site, is_private=True)
    try:
        assert site.dest.secret_at(site.source_uri, secret.uuid) == secret
        assert site.dest.secret_value_at(site.source_uri, secret.uuid) is None
    finally:
        site.source.remove_secret(secret.uuid)


def test_a_secret_is_given_another_value(site: Site) -> None:
    secret = made(site)
    try:
        site.source.define_secret(secret, SecretValue(data=b"other"))
        assert site.dest.secret_value_at(site.source_uri, secret.uuid) == SecretValue(data=b"other")
    finally:
        site.source.remove_secret(secret.uuid)


def test_a_host_that_is_not_there_is_unreachable(site: Site) -> None:
    with pytest.raises(HypervisorUnreachableError):
        site.dest.secret_at("qemu+tcp://nobody.invalid/system", "x")
