"""`limosa check` at the agents: what they answer to a call, and that nothing is begun and nothing left."""

import time
from types import SimpleNamespace
from uuid import uuid4

import pytest

from common import envelope
from common.migration import CheckDestArguments, CheckSourceArguments
from tests.rpc.test_agent import Site

TIMEOUT_S = 10.0


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    site.server.start()
    site.start("compute1")
    site.start("compute2")
    yield site
    site.stop()


@pytest.fixture
def image(site, tmp_path):
    path = tmp_path / "images" / "web1.raw"
    path.parent.mkdir()
    path.write_text("disk")
    domain = site.world.hosts["compute1"].domains[site.uuid]
    disk = f"<disk type='file'><source file='{path}'/><target dev='vda'/></disk>"
    domain.live_xml = domain.live_xml.replace("<memballoon", disk + "<memballoon")
    return path


def arguments(image, memory_mib=16):
    disks = (("vda", "file", str(image), "disk"),)
    return CheckDestArguments(name="web1", memory_mib=memory_mib, vcpus=1, machine="pc", disks=disks)


def examine_dest(site, check, arguments):
    return site.agents.examine_destination("compute2", check, site.uuid, arguments, timeout_s=TIMEOUT_S)


def examine_source(site, dest_facts):
    told = CheckSourceArguments(dest_facts=dest_facts)
    return site.agents.examine_source("compute1", site.uuid, told, timeout_s=TIMEOUT_S)


def probes(image):
    return [path.name for path in image.parent.iterdir() if path != image]


def entries(site):
    """Of the ledgers: what would be there after a command."""
    hosts = ("compute1", "compute2")
    return [path for host in hosts for path in (site.directory / host / "ledger").glob("*.json")]


def test_both_hosts_are_examined_and_the_probes_are_gone_when_they_are_forgotten(site, image):
    check = str(uuid4())

    dest = examine_dest(site, check, arguments(image))
    assert len(probes(image)) == 1
    source = examine_source(site, dest.dest_facts)
    site.agents.forget_probes("compute2", check, timeout_s=TIMEOUT_S)

    assert (dest.findings, source.findings) == ((), ())
    assert probes(image) == []
    assert entries(site) == []


def test_a_dest_that_refuses_keeps_its_probes_for_the_source_to_read(site, image):
    check = str(uuid4())

    dest = examine_dest(site, check, arguments(image, memory_mib=1_000_000))

    assert [finding.code for finding in dest.findings] == ["memory_short"]
    assert examine_source(site, dest.dest_facts).findings == ()
    site.agents.forget_probes("compute2", check, timeout_s=TIMEOUT_S)
    assert probes(image) == []


def test_a_silent_libvirt_is_a_finding_and_leaves_no_probe(site, image):
    site.world.hosts["compute2"].is_down = True

    dest = examine_dest(site, str(uuid4()), arguments(image))

    assert [finding.code for finding in dest.findings] == ["check_failed"]
    assert "libvirtd" in dest.findings[0].sentence
    assert dest.dest_facts is None
    assert probes(image) == []


def test_a_guest_that_is_not_here_is_a_finding(site, image):
    dest = examine_dest(site, str(uuid4()), arguments(image))
    del site.world.hosts["compute1"].domains[site.uuid]

    assert [finding.code for finding in examine_source(site, dest.dest_facts).findings] == ["instance_gone"]


def test_what_is_read_after_it_was_forgotten_leaves_no_probe(site, image):
    check = str(uuid4())
    site.agents.forget_probes("compute2", check, timeout_s=TIMEOUT_S)

    dest = examine_dest(site, check, arguments(image))

    assert [finding.code for finding in dest.findings] == ["check_failed"], "it has not looked"
    assert dest.dest_facts is None
    assert probes(image) == []


def test_what_is_forgotten_while_it_is_at_work_leaves_no_probe(site, image):
    check, hypervisor = str(uuid4()), site.world.hosts["compute2"]
    free_mib = hypervisor.memory_free_mib

    def forgotten_meanwhile():
        site.agents.forget_probes("compute2", check, timeout_s=TIMEOUT_S)
        return free_mib()

    hypervisor.memory_free_mib = forgotten_meanwhile

    dest = examine_dest(site, check, arguments(image))

    assert [finding.code for finding in dest.findings] == ["check_failed"], "nobody may take it for an answer"
    assert probes(image) == []
    assert site.world.network.listening == set()


def test_an_agent_that_is_told_by_a_cast_forgets_as_well(site, image):
    check = str(uuid4())
    examine_dest(site, check, arguments(image))

    site.agents.forget_probes_later("compute2", check)

    deadline = time.monotonic() + TIMEOUT_S
    while probes(image):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_question_is_looked_at_whatever_this_hosts_clock_says(site, image, monkeypatch):
    behind_s, now_s = 40.0, time.time
    monkeypatch.setattr(envelope, "time", SimpleNamespace(time=lambda: now_s() - behind_s))

    dest = examine_dest(site, str(uuid4()), arguments(image, memory_mib=1_000_000))

    assert [finding.code for finding in dest.findings] == ["memory_short"]
    assert dest.dest_facts is not None
