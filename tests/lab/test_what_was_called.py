"""Last of all: what every migration of this session has asked of libvirt."""

import importlib
import re

import libvirt
import pytest

from lab.lab import Lab

CALL = re.compile(r"migrateToURI3 .*flags=(\S+) \((\d+)\)")
MANDATORY = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
)


def test_no_migration_was_unsafe_and_each_had_the_mandatory_flags(lab: Lab) -> None:
    calls: list[tuple[str, int]] = []
    for host in lab.compute_hosts:
        text = lab.log(host, "limosa-compute-agent").read_text()
        calls += [(names, int(number)) for names, number in CALL.findall(text)]

    assert calls, "no migration was made in this session: nothing was tested"
    for names, number in calls:
        assert not number & libvirt.VIR_MIGRATE_UNSAFE
        assert number & MANDATORY == MANDATORY, names
        assert "VIR_MIGRATE_UNSAFE" not in names


def test_no_fake_can_be_imported_here() -> None:
    with pytest.raises(ImportError, match="no place in the lab"):
        importlib.import_module("tests.fakes.hypervisor")
