"""CPUs of hosts, as libvirt's capabilities describe them, compared for a guest that was given its host's own."""

import pytest

from compute_agent.hypervisor.cpu import FEATURES_SHOWN, GuestCpu, differences, guest_cpu, host_cpu


def cpu(model: str, vendor: str, signature: str, *features: str, noise: str = "", bits: int = 48) -> str:
    family, number, stepping = signature.split("/")
    return f"""<cpu>
      <arch>x86_64</arch>
      <model>{model}</model>
      <vendor>{vendor}</vendor>
      <microcode version='{noise or 1}'/>
      <signature family='{family}' model='{number}' stepping='{stepping}'/>
      <counter name='tsc' frequency='{noise or 2}000' scaling='no'/>
      <topology sockets='{noise or 1}' dies='1' cores='2' threads='1'/>
      <maxphysaddr mode='emulate' bits='{bits}'/>
      {"".join(f"<feature name='{name}'/>" for name in features)}
      <pages unit='KiB' size='4'/>
    </cpu>"""


ROME = cpu("EPYC-Rome", "AMD", "23/49/0", "x2apic", "tsc-deadline", "topoext")
MILAN = cpu("EPYC-Milan", "AMD", "25/1/1", "x2apic", "tsc-deadline", "pku", "vaes")
CASCADELAKE = cpu("Cascadelake-Server", "Intel", "6/85/7", "x2apic", "hle", bits=46)


def compared(source: str, dest: str) -> tuple[str, ...]:
    return differences(host_cpu(source), host_cpu(dest))


def test_a_cpu_is_equal_to_itself() -> None:
    for xml in (ROME, MILAN, CASCADELAKE, "<cpu/>"):
        assert compared(xml, xml) == ()


def test_what_a_guest_does_not_see_makes_no_difference() -> None:
    other = cpu("EPYC-Rome", "AMD", "23/49/1", "topoext", "tsc-deadline", "x2apic", noise="77")
    assert compared(ROME, other) == (), "microcode, clock, topology, stepping, and the order of features"


def test_the_next_generation_is_another_cpu_in_both_directions() -> None:
    assert compared(ROME, MILAN) == (
        "model EPYC-Rome and EPYC-Milan",
        "family/model number 23/49 and 25/1",
        "it lacks topoext",
        "it has pku, vaes besides",
    )
    assert compared(MILAN, ROME)[2:] == ("it lacks pku, vaes", "it has topoext besides")


def test_another_make_is_told_by_its_vendor() -> None:
    told = compared(ROME, CASCADELAKE)
    assert told[0] == "vendor AMD and Intel"
    assert "address bits 48 and 46" in told


def test_one_feature_that_a_bios_has_switched_off_is_found() -> None:
    dest = cpu("EPYC-Rome", "AMD", "23/49/0", "x2apic", "tsc-deadline")
    assert compared(ROME, dest) == ("it lacks topoext",)


def test_what_an_older_libvirt_does_not_tell_is_not_held_against_it() -> None:
    older = """<cpu><arch>x86_64</arch><model>EPYC-Rome</model><vendor>AMD</vendor>
      <feature name='x2apic'/><feature name='tsc-deadline'/><feature name='topoext'/></cpu>"""
    assert compared(ROME, older) == compared(older, ROME) == ()


def test_a_long_list_of_features_is_cut() -> None:
    names = [f"f{number:02}" for number in range(FEATURES_SHOWN + 3)]
    [told] = compared(cpu("m", "v", "1/1/1", *names), cpu("m", "v", "1/1/1"))
    assert told.endswith("f11 and 3 more")


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (
            "<cpu mode='custom' match='exact' check='full'><model fallback='forbid'>qemu64</model></cpu>",
            GuestCpu(mode="custom", model="qemu64", is_checked=True),
        ),
        (
            "<cpu mode='host-passthrough' check='none' migratable='on'/>",
            GuestCpu(mode="host-passthrough", model="", is_checked=False),
        ),
        ("<cpu mode='maximum'/>", GuestCpu(mode="maximum", model="", is_checked=True)),
        (
            "<cpu><topology sockets='1' dies='1' cores='2' threads='1'/></cpu>",
            GuestCpu(mode="custom", model="", is_checked=True),
        ),
    ],
)
def test_cpu_of_a_guest(xml: str, expected: GuestCpu) -> None:
    assert guest_cpu(xml) == expected
