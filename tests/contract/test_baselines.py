"""The CPU that all hosts can give a guest: libvirt's answer and the fake's have one form."""

from compute_agent.hypervisor.xml_text import XmlText
from tests.contract.hypervisor_sites import Site


def test_what_is_offered_is_a_model_with_features(site: Site) -> None:
    cpu = XmlText.parse(site.source.offered_cpu()).root
    assert cpu.tag == "cpu"
    assert cpu.text_of("model")


def test_the_baseline_of_equal_hosts_is_what_each_of_them_offers(site: Site) -> None:
    offered = site.source.offered_cpu()
    cpu = XmlText.parse(site.source.baseline_cpu((offered, site.dest.offered_cpu()))).root
    assert cpu.tag == "cpu"
    assert cpu.get("mode") == "custom"
    assert cpu.text_of("model")
