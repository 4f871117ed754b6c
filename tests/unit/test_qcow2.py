"""Headers of qcow2, also of what is none: an image is a file that anybody may have written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute_agent.storage import qcow2

VERSION_3 = qcow2.MAGIC + (3).to_bytes(4, "big")


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda rest: VERSION_3 + rest)))
def test_whatever_the_bytes_are_it_is_a_header_or_a_half_sentence(data: bytes) -> None:
    try:
        header = qcow2.read(data)
    except ValueError as error:
        assert str(error)
    else:
        assert header.virtual_bytes >= 0


def test_a_header_that_ends_early_is_told() -> None:
    with pytest.raises(ValueError, match="its header is cut off"):
        qcow2.read(VERSION_3 + bytes(70))


def test_a_version_that_nobody_knows_is_told() -> None:
    with pytest.raises(ValueError, match="version 9"):
        qcow2.read(qcow2.MAGIC + (9).to_bytes(4, "big") + bytes(100))
