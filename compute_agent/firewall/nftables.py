"""The driver nftables: two tables of our own in the host's ruleset, replaced as a whole."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from common.facts import InterfaceFacts
from common.filtering import FilteringInForce, PortInForce
from common.transfer import Filtering, InterfaceChange
from compute_agent.errors import CommandError
from compute_agent.firewall import ruleset
from compute_agent.firewall.driver import FirewallError
from compute_agent.firewall.guests import FilteredGuest, steady_tap, tap_on_dest
from compute_agent.firewall.settings import FirewallSettings
from compute_agent.subprocesses import Finished, run_command

NFT = "nft"
TIMEOUT_S = 20.0  # a reload of some hundred ports takes 15 ms
BRIDGE_SYSCTL = Path("/proc/sys/net/bridge")
_SYSCTL_OF_FAMILY = {4: "bridge-nf-call-iptables", 6: "bridge-nf-call-ip6tables"}

_TABLE_RULES = re.compile(r'^\tcomment "rules ([0-9a-f]+)"', re.MULTILINE)
_CHAIN = re.compile(r"^\tchain (\w+) \{\n(.*?)^\t\}", re.MULTILINE | re.DOTALL)
_GUEST = re.compile(r'^\t\tcomment "instance (\S+) revision (\d+)"\n', re.MULTILINE)
_NO_RULE = re.compile(r"\s*(comment|type filter hook)\b")
_CHAIN_OF_MAC = re.compile(r"(to|from)_([0-9a-f]{12})")
_VERDICT = re.compile(r'"([^"]+)" : jump (to_[0-9a-f]{12})')


class NftablesDriver:
    """See `driver.FirewallDriver`."""

    name = "nftables"

    def __init__(self, settings: FirewallSettings, *, sysctl_path: Path = BRIDGE_SYSCTL) -> None:
        self._settings = settings
        self._sysctl_path = sysctl_path

    def refuse_unfit(self, guest: FilteredGuest) -> None:
        self._render((guest,))

    def apply(self, guests: Sequence[FilteredGuest]) -> None:
        """Load them unless they are loaded already: the counters of rules that stay are not reset for nothing."""
        script = self._render(guests)
        wanted = ruleset.fingerprint_of(script)
        if self._loaded(is_needed=bool(wanted)) == {wanted}:
            return
        finished = self._run("-f", "-", script=script)
        if finished.code != 0:
            raise FirewallError(driver=self.name, reason=finished.last_line)

    def in_force(self, instance: str) -> FilteringInForce:
        chains = dict(_CHAIN.findall(self._listed("bridge")))
        taps = {chain: tap for tap, chain in _VERDICT.findall(chains.get("receives", ""))}
        revision, lines = None, dict[str, list[str]]()
        for name, body in chains.items():
            of_mac, guest = _CHAIN_OF_MAC.fullmatch(name), _GUEST.search(body)
            if of_mac is None or guest is None or guest[1] != instance:
                continue
            revision = int(guest[2])
            word = "receives" if of_mac[1] == "to" else "sends"
            rules = [line.strip() for line in body.splitlines() if line.strip() and "comment" not in line]
            lines.setdefault(of_mac[2], []).extend(f"{word}: {rule}" for rule in rules)
        ports = tuple(
            PortInForce(mac=_mac(digits), tap=taps.get(f"to_{digits}", ""), lines=tuple(rules))
            for digits, rules in sorted(lines.items())
        )
        return FilteringInForce(driver=self.name, revision=revision, ports=ports)

    def problems(self, filtering: Filtering) -> Iterable[str]:
        try:
            self._run("--version")
        except FirewallError as error:
            yield str(error)
            return
        yield from bridge_netfilter_problems(filtering, sysctl_path=self._sysctl_path)

    def changes(
        self, guest: FilteredGuest, interfaces: Iterable[InterfaceFacts]
    ) -> tuple[InterfaceChange, ...]:
        """Names of taps that the rules know before they exist: an automatic one (vnet0) is not known by anybody.

        A name that the guest's operator gave is kept, unless it is taken here: who connects the interface sees to that.
        """
        macs = {port.rules.mac.lower() for port in guest.ports}
        return tuple(
            InterfaceChange(mac=interface.mac, tap=steady_tap(interface.mac))
            for interface in interfaces
            if interface.mac.lower() in macs and tap_on_dest(interface) == steady_tap(interface.mac)
        )

    # ---- the tool

    def _render(self, guests: Sequence[FilteredGuest]) -> str:
        return ruleset.render(guests, mark=self._settings.mark, requires_syn=self._settings.requires_syn)

    def _loaded(self, *, is_needed: bool) -> set[str]:
        """The fingerprints that our tables carry; of one that is missing an empty one."""
        try:
            return {self._fingerprint(family) for family in ruleset.FAMILIES}
        except FirewallError:
            if is_needed:
                raise
            return {""}  # a host without nft, on which nobody is filtered

    def _fingerprint(self, family: str) -> str:
        """Empty, too, for a table that was flushed: that leaves its comment and its chains, and lets everything through."""
        listed = self._listed(family, "--terse")
        found = _TABLE_RULES.search(listed)
        is_flushed = family == "bridge" and any(not _rules(body) for _, body in _CHAIN.findall(listed))
        return found[1] if found is not None and not is_flushed else ""

    def _listed(self, family: str, *options: str) -> str:
        """The table as it stands; empty where there is none."""
        finished = self._run(*options, "list", "table", family, ruleset.TABLE)
        if finished.code == 0:
            return finished.stdout
        if "No such file or directory" in finished.stderr:
            return ""
        raise FirewallError(driver=self.name, reason=finished.last_line)

    def _run(self, *arguments: str, script: str = "") -> Finished:
        try:
            return run_command([NFT, *arguments], input_text=script, timeout_s=TIMEOUT_S)
        except CommandError as error:
            raise FirewallError(driver=self.name, reason=str(error)) from error


def _rules(chain: str) -> list[str]:
    """Its lines that are rules."""
    return [line for line in chain.splitlines() if line.strip() and not _NO_RULE.match(line)]


def bridge_netfilter_problems(filtering: Filtering, *, sysctl_path: Path = BRIDGE_SYSCTL) -> Iterable[str]:
    """Why bridged packets do not meet connection tracking on this host, as sentences."""
    for family in sorted(_families(filtering)):
        setting = sysctl_path / _SYSCTL_OF_FAMILY[family]
        if _content(setting) != "1":
            yield (
                f"{'.'.join(setting.parts[-3:])} is not 1: no connection would be recognised, and all answers to the "
                "guest dropped"
            )


def _mac(digits: str) -> str:
    return ":".join(digits[index : index + 2] for index in range(0, 12, 2))


def _families(filtering: Filtering) -> set[int]:
    """Those whose connections matter to these rules."""
    families = {rule.family for port in filtering.ports for rule in port.rules}
    with_addresses = [port for port in filtering.ports if port.addresses]
    if len(with_addresses) == len(filtering.ports):
        families &= {6 if ":" in address else 4 for port in with_addresses for address in port.addresses}
    return families


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""  # without br_netfilter there is no such file
