"""On the dest: whether its libvirt knows the guest's uuid or name already."""

from collections.abc import Iterator

from common.checks import DOMAIN_EXISTS, Finding
from compute_agent.checks.look import DestLook
from compute_agent.hypervisor.driver import Hypervisor


def check_names(look: DestLook) -> Iterator[Finding]:
    yield from known(look.hypervisor, host=look.settings.host, instance=look.instance, name=look.guest.name)


def known(hypervisor: Hypervisor, *, host: str, instance: str, name: str) -> Iterator[Finding]:
    """A dest that knows the guest's uuid or name, active or not, could mistake the one for the other (rule 20)."""
    if hypervisor.observe(instance).exists:
        yield DOMAIN_EXISTS.finding(host, what="uuid", value=instance)
    if hypervisor.find_by_name(name) not in (None, instance):
        yield DOMAIN_EXISTS.finding(host, what="name", value=name)
