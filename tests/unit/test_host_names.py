"""The names of a certificate, also where the host's own leads nowhere."""

import pytest

from conductor.host_names import names_for


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_name_that_cannot_be_one_of_the_dns_has_no_address(host):
    assert names_for(host, ["192.0.2.9"]) == (host, "192.0.2.9")
