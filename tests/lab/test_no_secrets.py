"""Whole domain XML holds secrets: it never travels through the queue, and is kept in no database, journal or log."""

import base64
import json
from pathlib import Path
from uuid import uuid4

import pytest

from lab.guest.domain import DESCRIPTION
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from lab.volumes import VolumeServers, initiator
from tests.lab import observer
from tests.lab.messages import captured_messages

PASSWORD = "s3cr3tvn"  # VNC knows eight characters
CHAP_PASSWORD = "ch4p-s3cr3t-w0rd"  # 12 to 16 characters
CHAP_PASSWORD_BASE64 = base64.b64encode(CHAP_PASSWORD.encode()).decode()
MARKERS = (PASSWORD, CHAP_PASSWORD, CHAP_PASSWORD_BASE64, DESCRIPTION, "<domain", "<devices>")


def test_a_password_in_the_xml_is_nowhere_but_at_libvirt(lab: Lab, guest_name: str) -> None:
    options = GuestOptions(has_vnc=True, vnc_password=PASSWORD)
    with captured_messages(lab) as capture:
        lab.guest_create(guest_name, "compute1", options)
        observer.wait_until_found(lab, guest_name)
        done = lab.limosa("live-migration", guest_name, "compute2", "-f", "json")
        migration = json.loads(done.stdout)["id"]
        lab.limosa("check", guest_name, "compute1", check=False)
        lab.limosa("migration", "log", migration)
        lab.limosa("show", guest_name)
    assert PASSWORD in lab.virsh("compute2", "dumpxml", "--security-info", guest_name)

    assert_nothing_is_told(lab, guest_name, capture)


@pytest.mark.parametrize("is_private", [True, False])
def test_a_password_of_a_volume_is_nowhere_but_at_libvirt(
    lab: Lab, guest_name: str, volume_servers: VolumeServers, is_private: bool
) -> None:
    """A private one is put into a file of the dest; another one comes from the source's libvirtd, over TLS."""
    servers, uuid = volume_servers, str(uuid4())
    target = servers.target(f"chap-{is_private}".lower())
    user = f"guest-{is_private}".lower()  # tgtd's accounts are of all targets
    servers.protect(target, user=user, password=CHAP_PASSWORD)
    for host in lab.compute_hosts:
        servers.admit(target, initiator(host))
    define_secret(lab, "compute1", uuid, is_private=is_private)
    kept = lab.paths.host("compute2") / "etc/limosa/secrets"
    kept.mkdir(mode=0o700, exist_ok=True)
    auth = f"<auth username='{user}'><secret type='iscsi' uuid='{uuid}'/></auth>"
    disk = target.disk_xml("vdb", initiator=initiator("compute1"), auth=auth)
    with captured_messages(lab) as capture:
        lab.guest_create(guest_name, "compute1", GuestOptions(devices=disk))
        observer.wait_until_found(lab, guest_name)
        if is_private:
            refused = lab.limosa("live-migration", guest_name, "compute2", check=False)
            assert "[secret_private]" in refused.stderr
            (kept / uuid).touch(mode=0o600)
            (kept / uuid).write_text(CHAP_PASSWORD)
        lab.ask(guest_name, "write vdb behind-a-password")
        migration = observer.migrate(lab, guest_name, "compute2")
        lab.limosa("migration", "log", migration["id"])
        lab.limosa("volume", "list")
    assert migration["status"] == "completed"
    assert lab.ask(guest_name, "read vdb") == "behind-a-password"
    assert uuid in lab.virsh("compute2", "secret-list")
    assert_nothing_is_told(lab, guest_name, capture)


def define_secret(lab: Lab, host: str, uuid: str, *, is_private: bool) -> None:
    private = "yes" if is_private else "no"
    xml = f"<secret ephemeral='no' private='{private}'><uuid>{uuid}</uuid></secret>"
    file = lab.paths.host(host) / "etc/limosa/secret.xml"
    file.write_text(xml)
    lab.virsh(host, "secret-define", "/etc/limosa/secret.xml")
    lab.virsh(host, "secret-set-value", uuid, "--base64", CHAP_PASSWORD_BASE64)


def assert_nothing_is_told(lab: Lab, guest_name: str, capture: Path) -> None:
    messages = [json.loads(line) for line in capture.read_text().splitlines()]
    assert any("limosa-compute.compute2" in message["key"] for message in messages), "nothing was captured"
    assert any(guest_name in message["body"] for message in messages), "the messages cannot be read"
    assert_free_of_markers({message["key"]: message["body"] for message in messages})
    database = observer.database(lab)
    records = [
        path
        for host in lab.compute_hosts
        for path in (lab.paths.host(host) / "var/lib/limosa/arrivals").glob("*")
    ]
    files = [*database.parent.glob(f"{database.name}*"), *logs(lab), *records]
    assert len(files) >= 4
    assert_free_of_markers({str(path): path.read_bytes().decode(errors="replace") for path in files})


def logs(lab: Lab) -> list[Path]:
    found = [lab.log("controller", "limosa-conductor")]
    found += [lab.log(host, "limosa-compute-agent") for host in lab.compute_hosts]
    assert all(path.stat().st_size for path in found)
    return found


def assert_free_of_markers(texts: dict[str, str]) -> None:
    for where, text in texts.items():
        for marker in MARKERS:
            assert marker not in text, f"{marker!r} is in {where}"
