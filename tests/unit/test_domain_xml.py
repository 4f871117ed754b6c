"""Changing domain XML: what is changed, and above all what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.migration import DomainChanges, GraphicsListen
from compute_agent.hypervisor import domain_xml
from compute_agent.hypervisor.xml_text import XmlText

MIGRATION = "0f2b7a52-6f61-4f0e-9b43-2b6f1f4a8a11"
MARK = f'<limosa:migration xmlns:limosa="urn:limosa:migration:1" id="{MIGRATION}"/>'
CHANGES = DomainChanges(
    graphics=(
        GraphicsListen(type="vnc", address="192.0.2.7"),
        GraphicsListen(type="spice", address="2001:db8::7"),
    )
)
NO_CHANGES = DomainChanges()

DOMAIN = """<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>wéb</name>
  <uuid>c1b2a5a4-0f0e-4f4b-8a7e-1d2c3b4a5f60</uuid>
  <!-- kept: a > b, <not> a tag -->
  <description>a &lt;graphics type='vnc' listen='10.0.0.1'/&gt; in text, and 日本</description>
  <metadata>
    <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1" nova:note='a > b'>
      <nova:name>web &amp; co</nova:name><![CDATA[ <graphics listen="10.0.0.1"/> ]]>
    </nova:instance>
    <x xmlns='urn:default' y="line&#10;break">\ttabs  and  spaces </x>
  </metadata>
  <memory unit='KiB'>1048577</memory>
  <vcpu placement='static' current='2'>4</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='/srv/a b.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <disk type='block' device='disk'><source dev='/dev/sdb'/><target dev='vdb'/><shareable/></disk>
    <disk type='network' device='disk'><source protocol='rbd' name='pool/image'/><target dev='vdc'/></disk>
    <disk type='volume'><source pool='default' volume='v1'/><target dev='vdd'/></disk>
    <disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>
    <graphics type='vnc' port='5900' autoport='yes' listen='10.0.0.1' passwd='a"b&apos;&lt;'>
      <listen type='address' address='10.0.0.1'/>
    </graphics>
    <graphics type="spice"><listen type="address" address="10.0.0.1"/></graphics>
    <graphics type='sdl' display=':0'/>
  </devices>
  <qemu:commandline><qemu:arg value='-newarg'/></qemu:commandline>
</domain>
"""


def graphics_domain(graphics: str) -> str:
    return f"<domain><name>web</name><devices>{graphics}</devices></domain>"


def changed_graphics(graphics: str) -> str:
    return domain_xml.persist_xml(graphics_domain(graphics), changes=CHANGES)


# ---- the mark


def test_mark_is_added_to_others_metadata_and_read_back() -> None:
    marked = domain_xml.dest_xml(DOMAIN, changes=NO_CHANGES, migration=MIGRATION)
    assert domain_xml.migration_mark(marked) == MIGRATION
    assert domain_xml.migration_mark(DOMAIN) is None


def test_nothing_but_the_mark_is_added() -> None:
    marked = domain_xml.dest_xml(DOMAIN, changes=NO_CHANGES, migration=MIGRATION)
    assert marked.replace(MARK, "") == DOMAIN


@pytest.mark.parametrize(
    "xml",
    [
        "<domain><name>web</name></domain>",
        "<domain><metadata/></domain>",
        "<domain><metadata /></domain>",
        "<domain><metadata></metadata></domain>",
        "<domain/>",
        "<?xml version='1.0' encoding='ISO-8859-1'?>\n<!-- c --><domain><name>é</name></domain>\n",
    ],
)
def test_mark_finds_its_place_in_any_domain(xml: str) -> None:
    marked = domain_xml.dest_xml(xml, changes=NO_CHANGES, migration=MIGRATION)
    assert domain_xml.migration_mark(marked) == MIGRATION
    again = domain_xml.dest_xml(marked, changes=NO_CHANGES, migration="another")
    assert domain_xml.migration_mark(again) == "another"
    assert again.count("limosa:migration ") == 1
    assert domain_xml.migration_mark(domain_xml.without_mark(again)) is None


def test_inactive_xml_never_carries_the_mark() -> None:
    marked = domain_xml.dest_xml(DOMAIN, changes=NO_CHANGES, migration=MIGRATION)
    assert domain_xml.migration_mark(domain_xml.persist_xml(marked, changes=NO_CHANGES)) is None
    assert domain_xml.persist_xml(DOMAIN, changes=NO_CHANGES) == DOMAIN


# ---- graphics


def test_addresses_of_graphics_are_changed_and_nothing_else() -> None:
    changed = domain_xml.persist_xml(DOMAIN, changes=CHANGES)
    expected = (
        DOMAIN.replace("autoport='yes' listen='10.0.0.1'", "autoport='yes' listen=\"192.0.2.7\"")
        .replace(
            "<listen type='address' address='10.0.0.1'/>", "<listen type='address' address=\"192.0.2.7\"/>"
        )
        .replace(
            '<listen type="address" address="10.0.0.1"/>', '<listen type="address" address="2001:db8::7"/>'
        )
    )
    assert changed == expected


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "::",
        "localhost",
        "127.1.2.3",
        "ip6-localhost",
        "localhost.localdomain",
        "::ffff:127.0.0.1",
    ],
)
def test_console_that_is_the_same_on_each_host_stays(address: str) -> None:
    graphics = (
        f"<graphics type='vnc' listen='{address}'><listen type='address' address='{address}'/></graphics>"
    )
    assert changed_graphics(graphics) == graphics_domain(graphics)


@pytest.mark.parametrize(
    "graphics",
    [
        "<graphics type='vnc'><listen type='none'/></graphics>",
        "<graphics type='vnc'><listen type='socket' socket='/run/a'/></graphics>",
        "<graphics type='vnc' listen='10.1.0.1'/>".replace(" listen='10.1.0.1'", ""),
        "<graphics type='rdp' listen='10.0.0.1'/>",
        "<graphics type='vnc'><listen type='address'/></graphics>",
    ],
)
def test_graphics_without_an_address_of_one_host_stay(graphics: str) -> None:
    assert changed_graphics(graphics) == graphics_domain(graphics)


def test_listen_network_keeps_its_network_and_loses_nothing() -> None:
    graphics = "<graphics type='vnc'><listen type='network' network='mgmt'/></graphics>"
    assert changed_graphics(graphics) == graphics_domain(graphics)


def test_name_of_a_host_is_changed() -> None:
    assert 'listen="192.0.2.7"' in changed_graphics("<graphics type='vnc' listen='compute1'/>")


def test_attribute_that_another_one_quotes_is_not_mistaken() -> None:
    graphics = "<graphics type='vnc' passwd=\" listen='10.0.0.1'\" listen='10.0.0.1'/>"
    assert changed_graphics(graphics) == graphics_domain(
        "<graphics type='vnc' passwd=\" listen='10.0.0.1'\" listen=\"192.0.2.7\"/>"
    )


# ---- the text underneath

NAMES = st.from_regex(r"[a-z]{1,6}(:[a-z]{1,4})?", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


@st.composite
def documents(draw: st.DrawFn, depth: int = 3) -> str:
    from xml.sax.saxutils import escape, quoteattr

    name = draw(NAMES)
    attributes = draw(st.dictionaries(NAMES, VALUES, max_size=3))
    tag = name + "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    if depth == 0 or draw(st.booleans()):
        return f"<{tag}/>" if draw(st.booleans()) else f"<{tag}>{escape(draw(VALUES))}</{name} >"
    children = draw(st.lists(documents(depth=depth - 1), max_size=3))
    return f"<{tag} >{escape(draw(VALUES))}{''.join(children)}</{name}>"


@given(documents())
def test_unedited_document_is_itself_and_edits_come_off_again(xml: str) -> None:
    document = XmlText.parse(xml)
    assert document.edited() == xml
    assert document.outer(document.root) == xml
    document.append(document.root, "<added/>")
    edited = XmlText.parse(document.edited())
    assert edited.root.children[-1].tag == "added"
    assert len(edited.root.children) == len(document.root.children) + 1


@given(documents())
def test_any_domain_takes_the_mark_and_gives_it_back(xml: str) -> None:
    domain = f"<domain>{xml}</domain>"
    marked = domain_xml.dest_xml(domain, changes=CHANGES, migration=MIGRATION)
    assert domain_xml.migration_mark(marked) == MIGRATION
    assert domain in marked.replace(f"<metadata>{MARK}</metadata>", "").replace(MARK, "")


@pytest.mark.parametrize("xml", ["", "<a>", "<a></b>", "no xml", "<a/><b/>"])
def test_what_is_no_xml_is_refused(xml: str) -> None:
    with pytest.raises(ValueError, match="XML"):
        XmlText.parse(xml)
