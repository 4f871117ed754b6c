"""What a guest keeps in its firmware and in its TPM comes along in libvirt's own stream."""

import shutil
from pathlib import Path

from lab.guest import image
from lab.guest.lifecycle import GuestOptions
from lab.lab import Lab
from tests.lab import observer

SOURCE, DEST = "compute1", "compute2"
DIRECTORY = Path("/srv/local")
NAME = "firm"
OVMF = Path("/usr/share/OVMF")
CODE, VARIABLES = "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"
VARIABLE = "/sys/firmware/efi/efivars/Limosa-5a8d6e0c-2c5e-4c0f-9d3b-6c696d6f7361"
TEXT = "kept since before the move"
PCRS = "/sys/class/tpm/tpm0/pcr-sha256"
BOOT = f"""<loader readonly='yes' type='pflash'>{DIRECTORY}/{CODE}</loader>
<nvram template='{DIRECTORY}/{VARIABLES}'>{DIRECTORY}/{NAME}_VARS.fd</nvram>
<kernel>{DIRECTORY}/vmlinuz</kernel><initrd>{DIRECTORY}/initrd.gz</initrd>
<cmdline>{image.COMMAND_LINE}</cmdline>"""
TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"


def test_a_variable_and_the_tpms_registers_are_the_same_afterwards(lab: Lab) -> None:
    local = lab.paths.host(SOURCE) / DIRECTORY.relative_to("/")
    image.take_boot_files(lab.paths, local)
    for name in (CODE, VARIABLES):  # of the source's own, so that they are copied
        shutil.copy(OVMF / name, local)
    options = GuestOptions(memory_mib=256, machine_type="pc-q35-7.2", boot=BOOT, devices=TPM)
    try:
        first = lab.guest_create(NAME, SOURCE, options)
        observer.wait_until_found(lab, NAME)
        lab.ask(NAME, f"variable {TEXT}")
        registers = [lab.ask(NAME, f"show {PCRS}/{number}") for number in range(8)]
        assert set("".join(registers)) - set("0."), "the firmware has measured itself into them"

        for host in (DEST, SOURCE):  # the way back meets what was left there
            observer.migrate(lab, NAME, host)

            assert lab.ask(NAME, f"show {VARIABLE}") == f"....{TEXT}"
            assert [lab.ask(NAME, f"show {PCRS}/{number}") for number in range(8)] == registers
            observer.assert_one_guest(lab, NAME, host=host, boot_id=first.boot_id)
            variables = lab.paths.host(host) / DIRECTORY.relative_to("/") / f"{NAME}_VARS.fd"
            assert TEXT.encode() in variables.read_bytes()
        assert list((lab.paths.host(DEST) / "var/lib/libvirt/swtpm").glob("*/*/*")) == [], (
            "libvirt removes it"
        )
    finally:
        lab.guest_delete(NAME)
        for host in (SOURCE, DEST):
            lab.exec(host, ["sh", "-c", f"rm -rf {DIRECTORY}/*"])
