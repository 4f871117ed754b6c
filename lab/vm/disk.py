"""The disks that the machines start from: a Debian 12 a role, built from packages without mounting anything.

A disk is built when what it is made of has changed, and cached in .lab/cache/vm: a raw ext4 of the whole device,
which the machines write only in overlays of their own.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from lab.errors import LabError, last_lines
from lab.paths import LabPaths
from lab.vm import network

DISK_GIB = 6
_BUILD_TIMEOUT_S = 600.0
_HERE = Path(__file__).resolve().parent
_SSH_KEY = "ssh-key"


class Role(StrEnum):
    CONTROLLER = "controller"
    COMPUTE = "compute"


# What an administrator finds on a machine before docs/install.md begins.
_ON_EVERY_MACHINE = (
    "systemd-sysv", "udev", "kmod", "dbus", "openssh-server", "iproute2", "iputils-ping", "procps", "netbase",
    "ca-certificates", "python3", "less", "man-db", "curl",
)  # fmt: skip
_OF_ROLE = {
    Role.CONTROLLER: ("nfs-kernel-server", "targetcli-fb"),
    Role.COMPUTE: (
        "libvirt-daemon-system", "libvirt-daemon-driver-qemu", "libvirt-clients", "qemu-system-x86", "qemu-utils",
        "nfs-common", "open-iscsi", "lvm2",
    ),
}  # fmt: skip
# What docs/install.md installs on a machine of that role beside our own packages, and what those depend on: it comes
# from the lab's repository, so the files are kept beside the disk.
_TO_BE_INSTALLED = {
    Role.CONTROLLER: ("rabbitmq-server", "libvirt0"),
    Role.COMPUTE: ("nftables", "conntrack"),
}
# Timers and the like that only cost time in a machine that lives for minutes.
_MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "logrotate.timer", "man-db.timer", "systemd-pstore.service", "getty@tty1.service",
)  # fmt: skip


def ensure(role: Role, *, paths: LabPaths) -> Path:
    """Return the role's disk; it is built (a minute) when it is missing or what it is made of has changed."""
    directory = _directory(role, paths=paths)
    disk = directory / "disk.img"
    if disk.exists():
        return disk
    _forget_older(role, paths=paths)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        tree = Path(scratch) / "tree"
        _build_tree(role, tree, debs=directory / "debs", log=directory / "build.log")
        _furnish(role, tree, paths=paths)
        _run("mke2fs", "-q", "-t", "ext4", "-L", "limosa", "-m", "0", "-d", str(tree), str(Path(scratch) / "disk"),
             f"{DISK_GIB}G")  # fmt: skip
        (Path(scratch) / "disk").rename(disk)
    return disk


def dependencies(role: Role, *, paths: LabPaths) -> tuple[Path, ...]:
    """Return the Debian packages that a machine of this role will be asked to install."""
    return tuple(sorted((_directory(role, paths=paths) / "debs").glob("*.deb")))


def ssh_key(paths: LabPaths) -> Path:
    """Return the private key that opens every machine; it is made once and never leaves .lab."""
    key = paths.cache / "vm" / _SSH_KEY
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(key))
    return key


def _directory(role: Role, *, paths: LabPaths) -> Path:
    digest = hashlib.sha256()
    for source in (
        Path(__file__),
        _HERE / "network.py",
        paths.cache / "kernel" / "stamp",
        _public_key(paths),
    ):
        digest.update(source.read_bytes())
    return paths.cache / "vm" / f"{role}-{digest.hexdigest()[:12]}"


def _public_key(paths: LabPaths) -> Path:
    return ssh_key(paths).with_suffix(".pub")


def _forget_older(role: Role, *, paths: LabPaths) -> None:
    for directory in (paths.cache / "vm").glob(f"{role}-*"):
        shutil.rmtree(directory)


def _build_tree(role: Role, tree: Path, *, debs: Path, log: Path) -> None:
    """Unpack and configure the packages; nothing is started. What is to be installed later is fetched only."""
    apt = tree.parent
    (apt / "sources").write_text(_apt_sources())
    (apt / "apt.conf").write_text(_apt_settings())
    debs.mkdir(exist_ok=True)
    fetch = "apt-get clean && apt-get --yes --no-install-recommends --download-only install"
    wanted = " ".join(_TO_BE_INSTALLED[role])
    with log.open("w") as output:
        done = subprocess.run(
            [
                "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory",
                f"--aptopt={apt / 'apt.conf'}", '--aptopt=APT::Sandbox::User "root"', '--aptopt=Acquire::Retries "5"',
                f"--include={','.join((*_ON_EVERY_MACHINE, *_OF_ROLE[role]))}",
                f'--customize-hook=chroot "$1" sh -c "{fetch} {wanted}"',
                f'--customize-hook=find "$1/var/cache/apt/archives" -name "*.deb" -exec mv -t "{debs}" {{}} +',
                "bookworm", str(tree), str(apt / "sources"),
            ],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=_BUILD_TIMEOUT_S,
        )  # fmt: skip
    if done.returncode != 0:
        raise LabError(
            f"the {role}'s Debian could not be built: check the network and apt's sources",
            hint=last_lines(log.read_text()),
        )


def _apt_sources() -> str:
    """Return Debian 12's main as this machine's apt knows it."""
    form = "deb $(REPO_URI) $(CODENAME) $(COMPONENT)"
    filters = ("Created-By: Packages", "Origin: Debian", "Component: main")
    found = [
        line for line in _run("apt-get", "indextargets", "--format", form, *filters).splitlines() if line
    ]
    if not found:
        raise LabError("apt's sources have no Debian main", hint="apt-get update, then try again")
    return "\n".join(sorted(set(found))) + "\n"


def _apt_settings() -> str:
    """Return what this machine's administrator has told apt of proxies and of a wrong clock."""
    told = _run("apt-config", "dump", "--no-empty", "--format", '%F "%v";%n', "Acquire").splitlines()
    kept = ("acquire::check-", "acquire::http::", "acquire::https::")
    return "".join(f"{line}\n" for line in told if line.lower().startswith(kept))


def _furnish(role: Role, tree: Path, *, paths: LabPaths) -> None:
    """Make a machine of the unpacked packages: its kernel's modules, a way in, its networks, its packages' source."""
    _install_modules(tree, kernel=paths.cache / "kernel")
    files = {
        "etc/hosts": network.hosts_file(),
        "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
        "etc/apt/sources.list": (
            f"deb [trusted=yes] http://{network.REPOSITORY_NAME}:{network.REPOSITORY_PORT} ./\n"
        ),
        "root/.ssh/authorized_keys": _public_key(paths).read_text(),
    }
    if role is Role.COMPUTE:
        files["etc/systemd/network/br-data.netdev"] = "[NetDev]\nName=br-data\nKind=bridge\n"
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tree / "root/.ssh").chmod(0o700)
    shutil.rmtree(tree / "etc/apt/sources.list.d")
    for unit in _MASKED:
        link = tree / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    _run("systemctl", f"--root={tree}", "enable", "systemd-networkd.service")
    _run("chroot", str(tree), "passwd", "--delete", "root")  # whoever sits at the serial console is in


def _install_modules(tree: Path, *, kernel: Path) -> None:
    version = next((kernel / "lib/modules").iterdir()).name
    shutil.copytree(kernel / "lib/modules" / version, tree / "lib/modules" / version, symlinks=True)
    _run("chroot", str(tree), "depmod", version)


def _run(*argv: str) -> str:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_BUILD_TIMEOUT_S,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except FileNotFoundError as e:
        raise LabError(f"{argv[0]} is not installed", hint="run lab/bootstrap.sh --vm") from e
    if done.returncode != 0:
        raise LabError(f"the machines' disk: {_words(argv)} failed", hint=last_lines(done.stderr))
    return done.stdout


def _words(argv: Sequence[str]) -> str:
    return " ".join(argv)
