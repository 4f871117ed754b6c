"""Domain XML read as facts of a guest. Pure, and total: no valid domain XML, whatever devices it has, makes it raise.

What is read here travels and is stored: names of secrets may, their values and passwords never.
"""

from collections.abc import Iterable, Iterator, Mapping

from common.facts import DiskFacts, GuestFacts, InterfaceFacts
from common.states import PowerState
from compute_agent.hypervisor import volume_xml
from compute_agent.hypervisor.xml_text import Element, XmlText

# What libvirt's units mean (libvirt.org/formatdomain.html, memory allocation), in bytes.
_UNIT_BYTES = {
    "b": 1, "bytes": 1,
    "kb": 10**3, "k": 2**10, "kib": 2**10,
    "mb": 10**6, "m": 2**20, "mib": 2**20,
    "gb": 10**9, "g": 2**30, "gib": 2**30,
    "tb": 10**12, "t": 2**40, "tib": 2**40,
}  # fmt: skip
_MIB_BYTES = 2**20


def guest_facts(xml: str, *, power_state: PowerState, is_persistent: bool, has_autostart: bool) -> GuestFacts:
    """What a report says of a guest. `xml`: the live one of a running guest, the inactive one else.

    `disk_gib` is not in any XML: whoever can look at the disks fills it in.
    """
    document = XmlText.parse(xml)
    domain = document.root
    os_type, cpu = domain.find("os/type"), domain.find("cpu")
    return GuestFacts(
        uuid=domain.text_of("uuid"),
        name=domain.text_of("name"),
        power_state=power_state,
        vcpus=_vcpus(domain),
        memory_mib=_memory_mib(domain),
        is_persistent=is_persistent,
        has_autostart=has_autostart,
        machine=os_type.get("machine") if os_type is not None else "",
        arch=os_type.get("arch") if os_type is not None else "",
        hypervisor=domain.get("type"),
        disks=tuple(_disk(element) for element in domain.find_all("devices/disk")),
        cpu_xml=document.outer(cpu) if cpu is not None else "",
        emulator=domain.text_of("devices/emulator"),
        graphics=_graphics(domain),
        secrets=_secrets(domain),
        networks=_networks(domain),
        nwfilters=_unique(filter.get("filter") for filter in domain.find_all("devices/interface/filterref")),
        dac_label=_dac_label(domain),
        interfaces=tuple(_interface(element) for element in domain.find_all("devices/interface")),
        boot_files=_boot_files(domain),
        volumes=volume_xml.volumes(domain),
    )


def not_as_in_file(xml: str) -> Mapping[str, str]:
    """By target, the disks of which the guest sees something else than what is in their file, with a half-sentence."""
    found = {}
    for disk in XmlText.parse(xml).root.find_all("devices/disk"):
        target, source = disk.find("target"), disk.find("source")
        if target is None or source is None:
            continue
        if source.find("slices") is not None:
            found[target.get("dev")] = "it is a part of that, and the rest would be lost"
        elif disk.find("encryption") is not None or source.find("encryption") is not None:
            found[target.get("dev")] = (
                "it is encrypted, and an image like it cannot be made without its secret"
            )
    return found


def layer_formats(xml: str) -> Mapping[tuple[str, str], str]:
    """By target and source, in which format its QEMU reads an image below a disk: the header above need not name it."""
    found = {}
    for disk in XmlText.parse(xml).root.find_all("devices/disk"):
        target = disk.find("target")
        for layer in _descendants(disk, "backingStore"):
            source, format = layer.find("source"), layer.find("format")
            if target is not None and source is not None and format is not None:
                found[target.get("dev"), _source(source)] = format.get("type")
    return found


def _vcpus(domain: Element) -> int:
    vcpu = domain.find("vcpu")
    if vcpu is None:
        return 1  # libvirt's default
    return _number(vcpu.get("current") or vcpu.text, default=1)


def _memory_mib(domain: Element) -> int:
    memory = domain.find("memory")
    if memory is None:
        return 0
    unit = memory.get("unit", "KiB").lower()
    size_bytes = _number(memory.text, default=0) * _UNIT_BYTES.get(unit, _UNIT_BYTES["kib"])
    return -(-size_bytes // _MIB_BYTES)  # rounded up: a report never promises memory that is taken


def _number(text: str, *, default: int) -> int:
    """libvirt writes decimal numbers only; what it may write one day instead must not stop a whole report."""
    return int(text) if text.isascii() and text.isdecimal() else default


def _disk(element: Element) -> DiskFacts:
    target, driver, source = element.find("target"), element.find("driver"), element.find("source")
    return DiskFacts(
        target=target.get("dev") if target is not None else "",
        type=element.get("type", "file"),
        source=_source(source) if source is not None else "",
        device=element.get("device", "disk"),
        format=driver.get("type", "raw") if driver is not None else "raw",
        is_readonly=element.find("readonly") is not None,
        is_shareable=element.find("shareable") is not None,
        startup_policy=source.get("startupPolicy") if source is not None else "",
        layers=_layers(element),
    )


def _layers(disk: Element) -> tuple[tuple[str, str], ...]:
    """Images below the disk's own, the copy that a block job makes, and files that hold an image's data.

    libvirt writes into live XML what it found in the images when it started the guest; the last one's is empty.
    """
    found = []
    for tag in ("backingStore", "mirror", "dataStore"):
        for layer in _descendants(disk, tag):
            source = layer.find("source")
            if source is not None:
                found.append((layer.get("type", "file"), _source(source)))
    return tuple(dict.fromkeys(found))


def _source(source: Element) -> str:
    for attribute in ("file", "dev", "dir"):
        if source.get(attribute):
            return source.get(attribute)
    if source.get("pool"):
        return f"{source.get('pool')}/{source.get('volume')}"
    if source.get("protocol"):
        return f"{source.get('protocol')}:{source.get('name')}"
    return source.get("path") or source.get("type")  # vhostuser, vhostvdpa; nvme


def _dac_label(domain: Element) -> str:
    """Static ones only: into live XML libvirt writes a dynamic one, which is its host's."""
    for label in domain.find_all("seclabel"):
        if (label.get("model"), label.get("type")) == ("dac", "static"):
            return label.text_of("label")
    return ""


def _graphics(domain: Element) -> tuple[tuple[str, str], ...]:
    """Each place where a console listens; the attribute `listen` only repeats the first `<listen>`."""
    found = []
    for graphics in domain.find_all("devices/graphics"):
        listens = [listen.get("address") for listen in graphics.find_all("listen")]
        found += [(graphics.get("type"), address) for address in listens or [graphics.get("listen")]]
    return tuple(found)


def _secrets(domain: Element) -> tuple[str, ...]:
    """In a disk's or a hostdev's `<auth>` or `<encryption>`, backing images' and mirrors' as well, and in a TPM's."""
    devices = domain.find("devices")
    if devices is None:
        return ()
    named = [secret.get("uuid") or secret.get("usage") for secret in _descendants(devices, "secret")]
    tpms = domain.find_all("devices/tpm/backend/encryption")
    return _unique([*named, *(encryption.get("secret") for encryption in tpms)])


def _interface(element: Element) -> InterfaceFacts:
    """Live XML has the type that a network gave it (bridge, direct, hostdev), and still names the network."""
    mac, source, port = element.find("mac"), element.find("source"), element.find("virtualport")
    target, model, mtu = element.find("target"), element.find("model"), element.find("mtu")
    nwfilter = element.find("filterref")
    return InterfaceFacts(
        mac=mac.get("address").lower() if mac is not None else "",
        type=element.get("type"),
        source=_interface_source(source) if source is not None else "",
        network=source.get("network") if source is not None else "",
        virtualport=port.get("type") if port is not None else "",
        tap=target.get("dev") if target is not None else "",
        mtu=_number(mtu.get("size"), default=0) or None if mtu is not None else None,
        model=model.get("type") if model is not None else "",
        nwfilter=nwfilter.get("filter") if nwfilter is not None else "",
    )


def _interface_source(source: Element) -> str:
    named = (source.get(attribute) for attribute in ("bridge", "dev", "path", "network", "name", "address"))
    return next(filter(None, named), "")


def _boot_files(domain: Element) -> tuple[tuple[str, str], ...]:
    found = ((what, domain.text_of(f"os/{what}")) for what in ("kernel", "initrd", "dtb", "loader", "nvram"))
    nvram = domain.find("os/nvram")
    template = ("template", nvram.get("template") if nvram is not None else "")
    return tuple((what, path) for what, path in (*found, template) if path)


def _networks(domain: Element) -> tuple[str, ...]:
    """Of interfaces whatever their type: live XML has the one that the network gave them (bridge, direct, hostdev)."""
    interfaces = [source.get("network") for source in domain.find_all("devices/interface/source")]
    listens = domain.find_all("devices/graphics/listen")
    return _unique([*interfaces, *(listen.get("network") for listen in listens)])


def _descendants(element: Element, tag: str) -> Iterator[Element]:
    """Without recursion: the depth is the document's choice."""
    waiting = [element]
    while waiting:
        for child in waiting.pop(0).children:
            waiting.append(child)
            if child.tag == tag:
                yield child


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    """In their order, without the empty ones."""
    return tuple(dict.fromkeys(filter(None, names)))
