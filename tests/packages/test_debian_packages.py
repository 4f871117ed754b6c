"""The Debian packages, as dpkg installs, upgrades, removes and purges them."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.packages.machine import Machine

NAMES = ("limosa-common", "limosa-conductor", "limosa-compute-agent", "limosa-client")
SERVICES = ("limosa-conductor", "limosa-compute-agent")
PAGES = ("limosa.1", "limosa-conductor.8", "limosa-compute-agent.8", "limosa.conf.5")
CONFIGURE = "printf '[DEFAULT]\\ntransport_url = rabbit://u:p@localhost/\\n' >/etc/limosa/limosa.conf"


def test_every_program_runs_and_writes_nothing_into_its_venv(machine):
    machine.install()
    before = {path for path in machine.files() if path.startswith("/usr/lib/limosa/")}
    assert any(path.endswith(".pyc") for path in before)

    machine.run("limosa --version; limosa list --help; limosa-conductor --help; limosa-compute-agent --help")

    assert {path for path in machine.files() if path.startswith("/usr/lib/limosa/")} == before


def test_pages_and_completion_are_where_their_readers_look(machine):
    machine.install()

    for page in PAGES:
        name, _, section = page.rpartition(".")
        assert machine.run(f"man -w {section} {name}").strip().endswith(f"/{page}.gz")
    for name in ("limosa", *SERVICES):
        machine.run(f"bash -c '. /usr/share/bash-completion/completions/{name}; complete -p {name}'")


def test_systemd_accepts_the_units_and_they_are_not_enabled(machine):
    machine.install()

    for service in SERVICES:
        unit = machine.run(f"cat /lib/systemd/system/{service}.service")
        assert f"ExecStart=/usr/lib/limosa/bin/{service} " in unit
        document = re.search(r"^Documentation=file:(\S+)", unit, re.MULTILINE)
        machine.run(f"test -e {document[1] if document else '/no/document'}")
        machine.run(f"systemd-analyze verify --man=no /lib/systemd/system/{service}.service")
    assert machine.run("find /etc/systemd/system -name 'limosa*'") == ""


def test_the_user_and_the_directories_are_there_and_the_hook_is_a_conffile(machine):
    machine.install()

    assert machine.run("stat -c '%U %a' /var/lib/limosa/conductor").split() == ["limosa", "700"]
    assert "/etc/libvirt/hooks/qemu.d/limosa" in machine.run(
        "dpkg-query -W -f '${Conffiles}' limosa-compute-agent"
    )


def test_a_removal_keeps_what_a_person_has_made(machine):
    machine.install()
    machine.run(f"{CONFIGURE}; limosa-conductor bootstrap >/dev/null; echo x >/var/lib/limosa/ledger")

    machine.run(f"dpkg --remove --force-depends {' '.join(NAMES)}")

    machine.run("test -s /var/lib/limosa/conductor/conductor.sqlite -a -s /etc/limosa/conductor.key")
    machine.run("test -s /etc/limosa/limosa.conf -a -s /var/lib/limosa/ledger")


def test_a_purge_leaves_nothing_but_the_user(machine):
    before = machine.files()
    machine.install()
    machine.run(
        f"{CONFIGURE}; limosa-conductor bootstrap >/dev/null; limosa-compute-agent make-key >/dev/null"
    )
    machine.run("mkdir -p /var/lib/limosa/permits; touch /var/lib/limosa/ledger /etc/limosa/pki/ca.key")

    machine.run(f"dpkg --purge --force-depends {' '.join(NAMES)}")

    left = machine.files() - before
    assert {path for path in left if "limosa" in path} == set()
    assert left <= {"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock"}
    assert "limosa" in machine.run("getent passwd limosa")


def test_a_purge_leaves_what_somebody_else_has_put_there(machine):
    machine.install()
    machine.run("touch /etc/limosa/notes.txt /var/lib/limosa/conductor/conductor.sqlite")
    machine.run("mkdir -p /var/lib/limosa/libvirt-setup/backup")

    machine.run("dpkg --purge --force-depends limosa-compute-agent")
    machine.run(
        "test -e /var/lib/limosa/conductor/conductor.sqlite -a -d /var/lib/limosa/libvirt-setup/backup"
    )
    machine.run(f"dpkg --purge --force-depends {' '.join(NAMES)}")

    machine.run("test -e /etc/limosa/notes.txt")


# What is told to systemd, and which version's files lay there when it was told. What is stopped is not active any more.
FAKE_SYSTEMD = """
mkdir -p /run/systemd/system /states
for service in limosa-conductor limosa-compute-agent; do echo $STATE >/states/$service.service; done
cat >/usr/local/sbin/systemctl <<'END'
#!/bin/sh
[ "$1" != show ] || cat "/states/$5"
END
cat >/usr/local/sbin/deb-systemd-invoke <<'END'
#!/bin/sh
echo "$* $(cat /usr/lib/limosa/generation 2>/dev/null || echo old)" >>/calls
[ "$1" != stop ] || echo inactive >"/states/$2"
END
chmod 755 /usr/local/sbin/*
"""


@pytest.mark.parametrize("state", ["active", "activating"])  # activating: it waits for its broker
def test_an_upgrade_stops_what_runs_before_its_files_change_and_starts_it_after(
    machine, packages, tmp_path, state
):
    machine.install()
    machine.run(FAKE_SYSTEMD.replace("$STATE", state))
    newer(packages, tmp_path)

    upgrade(machine, tmp_path)

    calls = machine.run("cat /calls").splitlines()
    for service in SERVICES:
        told = [call for call in calls if f" {service}.service " in call]
        assert told == [f"stop {service}.service old", f"start --no-block {service}.service new"]


def test_an_upgrade_starts_nothing_that_did_not_run(machine, packages, tmp_path):
    machine.install()
    machine.run(FAKE_SYSTEMD.replace("$STATE", "inactive"))
    newer(packages, tmp_path)

    upgrade(machine, tmp_path)

    assert "start" not in machine.run("cat /calls 2>/dev/null || :")


def upgrade(machine: Machine, directory: Path) -> None:
    """As apt has dpkg do it; --force-depends for what the tree lacks."""
    for package in sorted(directory.glob("*.deb")):
        machine.copy_in(package)
    machine.run("dpkg --auto-deconfigure --force-depends -i /newer/*.deb")


def newer(packages: Path, directory: Path) -> None:
    """The same packages with a higher version; the venv is left out, but for a mark of its generation."""
    for package in packages.glob("*.deb"):
        tree = directory / package.stem
        subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(tree)], check=True)
        control = tree / "DEBIAN" / "control"
        version = re.search(r"^Version: (.*)$", control.read_text(), re.MULTILINE)
        assert version is not None
        control.write_text(control.read_text().replace(version[1], f"{version[1]}.1"))
        if package.name.startswith("limosa-common_"):
            subprocess.run(["rm", "-r", str(tree / "usr/lib/limosa/lib")], check=True)
            (tree / "usr/lib/limosa/generation").write_text("new\n")
        subprocess.run(
            ["dpkg-deb", "-Znone", "--build", str(tree), str(directory / package.name)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
