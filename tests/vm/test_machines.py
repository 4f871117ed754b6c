"""The machines themselves: what the tests of this directory stand on."""

import pytest

from lab.vm import VmLab, network


@pytest.mark.parametrize("name", network.NAMES)
def test_a_machine_is_a_whole_debian_that_started_well(vm_lab: VmLab, name: str) -> None:
    said = vm_lab.machine(name).run("hostname; cat /proc/1/comm; systemctl is-system-running").stdout
    assert said.split() == [name, "systemd", "running"]


def test_machines_know_each_other_by_name(vm_lab: VmLab) -> None:
    for name in network.NAMES:
        for other in network.NAMES:
            vm_lab.machine(name).run(f"ping -c 1 -W 20 {other}")


def test_compute_nodes_have_a_libvirtd_with_qemu(vm_lab: VmLab) -> None:
    for name in network.COMPUTE:
        assert "QEMU" in vm_lab.machine(name).run("virsh version").stdout


def test_the_kernel_has_real_nfs_and_iscsi_and_vlans(vm_lab: VmLab) -> None:
    vm_lab.machine("controller").run("modprobe nfsd; modprobe iscsi_target_mod")
    for name in network.COMPUTE:
        vm_lab.machine(name).run("modprobe nfsv4; modprobe iscsi_tcp; modprobe 8021q")


def test_packages_come_from_the_labs_repository_alone(vm_lab: VmLab) -> None:
    said = vm_lab.machine("controller").run("apt-get update && apt-cache policy rabbitmq-server").stdout
    assert f"http://{network.REPOSITORY_NAME}:{network.REPOSITORY_PORT}" in said
