"""The hook that refuses incoming guests without a permit, run as libvirtd runs it."""

import os
import subprocess
from pathlib import Path

import pytest

from common.migration import DomainChanges
from compute_agent.hypervisor import domain_xml

HOOK = Path(__file__).parents[2] / "etc/libvirt/hooks/qemu.d/limosa"
MIGRATION = "0f2b7a52-6f61-4f0e-9b43-2b6f1f4a8a11"
PLAIN = "<domain><name>web</name><metadata><a:b xmlns:a='urn:a'/></metadata></domain>"
MARKED = domain_xml.dest_xml(PLAIN, changes=DomainChanges(), migration=MIGRATION)


def run(state_path: Path, *arguments: str, xml: str = MARKED) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LIMOSA_STATE_PATH": str(state_path)}
    return subprocess.run(
        [HOOK, "web", *arguments], input=xml, capture_output=True, text=True, timeout=5, env=environment
    )


@pytest.fixture
def permit(tmp_path: Path) -> Path:
    permit = tmp_path / "permits" / MIGRATION
    permit.parent.mkdir()
    permit.touch()
    return permit


def test_marked_guest_with_its_permit_may_come(tmp_path: Path, permit: Path) -> None:
    done = run(tmp_path, "migrate", "begin", "-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_marked_guest_whose_permit_is_gone_is_refused_in_a_sentence(tmp_path: Path, permit: Path) -> None:
    permit.unlink()
    done = run(tmp_path, "migrate", "begin", "-")
    assert done.returncode == 1
    assert MIGRATION in done.stderr and "web" in done.stderr


def test_permit_of_another_migration_does_not_help(tmp_path: Path, permit: Path) -> None:
    permit.rename(permit.with_name("11111111-2222-3333-4444-555555555555"))
    assert run(tmp_path, "migrate", "begin", "-").returncode == 1


def test_guest_moved_by_somebody_else_passes_unchanged(tmp_path: Path) -> None:
    done = run(tmp_path, "migrate", "begin", "-", xml=PLAIN)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    "operation",
    [("prepare", "begin"), ("start", "begin"), ("migrate", "end"), ("release", "end"), ("migrate",)],
)
def test_other_operations_pass(tmp_path: Path, operation: tuple[str, ...]) -> None:
    assert run(tmp_path, *operation, "-").returncode == 0


@pytest.mark.parametrize("xml", ["", "<domain", "x" * 200_000, PLAIN + "\n" * 1000])
def test_any_other_input_passes(tmp_path: Path, xml: str) -> None:
    assert run(tmp_path, "migrate", "begin", "-", xml=xml).returncode == 0


def test_the_mark_is_read_as_libvirt_writes_it(tmp_path: Path, permit: Path) -> None:
    mark = f'<limosa:migration\n   xmlns:limosa="urn:limosa:migration:1"\n id="{MIGRATION}"/>'
    xml = f"<domain>\n<metadata>\n{mark}\n<a:b xmlns:a='urn:a' id='x'/></metadata></domain>"
    assert run(tmp_path, "migrate", "begin", "-", xml=xml).returncode == 0
    permit.unlink()
    assert run(tmp_path, "migrate", "begin", "-", xml=xml).returncode == 1


@pytest.mark.parametrize("identity", ["", "../../../etc/passwd", "a b", "$(reboot)"])
def test_a_mark_that_names_no_migration_is_refused(tmp_path: Path, permit: Path, identity: str) -> None:
    assert run(tmp_path, "migrate", "begin", "-", xml=MARKED.replace(MIGRATION, identity)).returncode == 1


def test_text_that_looks_like_a_mark_is_none(tmp_path: Path) -> None:
    xml = f"<domain><description>&lt;limosa:migration id='{MIGRATION}'/&gt;</description></domain>"
    assert run(tmp_path, "migrate", "begin", "-", xml=xml).returncode == 0
