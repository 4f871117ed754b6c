#!/bin/sh
# Make this Debian 12 machine able to run Limosa's lab: Debian packages, the guest's kernel, the venv in .venv.
# With --debian13 also a Debian 13 tree, for labs with hosts of that generation; with --vm also what the VM lab's
# machines are built with.
#
# What is there already is not touched: the second run takes a fraction of a second. No installation starts a
# service, and nothing outside the checkout is written but Debian packages.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
venv=$root/.venv
cache=$root/.lab/cache

# The lab (hypervisor, broker, shared directory, networks), the guest's image, what builds libvirt-python, and what
# makes manual pages and trees of packages.
packages="
    libvirt-daemon libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients
    qemu-system-x86 qemu-utils rabbitmq-server bindfs fuse3 iproute2 iptables nftables util-linux
    nbdkit tgt libiscsi-bin qemu-block-extra lvm2 openvswitch-switch conntrack genisoimage
    ovmf swtpm swtpm-tools
    syslinux mtools dosfstools busybox-static cpio gzip
    gcc libc6-dev pkg-config libvirt-dev python3 python3-dev python3-venv ca-certificates systemd
    groff-base mmdebstrap debian-archive-keyring
"

# What builds the VM lab's disks (lab/vm), serves packages to its machines and runs commands in them.
vm_packages="mmdebstrap debian-archive-keyring e2fsprogs dpkg-dev openssh-client"

say() { printf 'bootstrap: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

check_machine() {
    [ "$(id -u)" = 0 ] || fail "the lab makes namespaces and mounts: run this as root."
    case $(cat /etc/debian_version 2>/dev/null) in
        12 | 12.*) ;;
        *) fail "this is no Debian 12 (see /etc/debian_version): run the lab on a Debian 12 machine." ;;
    esac
    [ "$(uname -m)" = x86_64 ] || fail "the lab's guest is an x86_64 one: run it on an amd64 machine, not $(uname -m)."
    [ -c /dev/fuse ] || fail "/dev/fuse is missing: modprobe fuse, or give the container --device /dev/fuse."
    [ -c /dev/net/tun ] || fail "/dev/net/tun is missing: modprobe tun, or give the container --device /dev/net/tun."
    unshare --net --mount --uts --pid --ipc --fork true 2>/dev/null ||
        fail "namespaces cannot be made here: run on a machine of its own or in a privileged container."
}

# Print those of the packages named that are not installed.
missing_of() {
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package} \n' "$@" 2>/dev/null | grep '^ii ')
    for package in "$@"; do
        case $installed in
            *" $package "*) ;;
            *) printf '%s ' "$package" ;;
        esac
    done
}

# Run a command while invoke-rc.d and deb-systemd-invoke refuse to start anything.
without_services() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'rm -f $policy' EXIT
        trap 'exit 130' INT TERM HUP
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    "$@"
)

install_packages() {
    missing=$(missing_of "$@")
    [ -n "$missing" ] || return 0
    say "installing Debian packages: $missing"
    apt-get update -qq || fail "apt-get update failed: check the network and apt's sources."
    without_services env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing >"$cache/apt.log" 2>&1 </dev/null ||
        fail "apt-get install failed, see $cache/apt.log: repair it (apt-get -f install), then run this again."
}

# Unpack Debian's cloud kernel into the cache. Installing it would meddle with the machine's boot loader.
unpack_kernel() {
    kernel=$cache/kernel
    [ -e "$kernel/stamp" ] && return 0
    say "fetching the guest's kernel"
    package=$(kernel_package)
    if [ -z "$package" ]; then
        apt-get update -qq
        package=$(kernel_package)
    fi
    [ -n "$package" ] || fail "apt knows no linux-image-cloud-amd64: check that its sources have Debian 12's main."
    rm -rf "$kernel" "$kernel.part"
    mkdir -p "$kernel.part"
    (
        cd "$kernel.part" || exit 1
        download "$package" || { apt-get update -qq && download "$package"; } || exit 1
        dpkg-deb -x ./*.deb . && rm -f ./*.deb && cp boot/vmlinuz-* vmlinuz && echo "$package" >stamp
    ) || fail "the package $package could not be fetched: check the network, then run this again."
    mv "$kernel.part" "$kernel"
}

# The real package behind the metapackage: linux-image-6.1.0-N-cloud-amd64.
kernel_package() {
    apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1
}

download() { apt-get -qq -o APT::Sandbox::User=root download "$1" >&2; }

make_venv() {
    stamp=$venv/.limosa-stamp
    wanted=$(
        sha256sum "$root/setup.cfg"
        /usr/bin/python3 --version
    )
    [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return 0
    say "building the venv .venv (libvirt-python is compiled: up to a minute)"
    [ -x "$venv/bin/pip" ] || /usr/bin/python3 -m venv "$venv" ||
        fail "the venv could not be made: remove $venv, then run this again."
    "$venv/bin/pip" install --disable-pip-version-check --cache-dir "$cache/pip" -e "$root[test]" >"$cache/pip.log" 2>&1 </dev/null ||
        fail "pip install failed, see $cache/pip.log: check the network, then run this again."
    printf '%s\n' "$wanted" >"$stamp"
}

case ${1:-} in
    '' | --debian13 | --vm) ;;
    *) fail "$1 is no option: there are --debian13 and --vm." ;;
esac
check_machine
mkdir -p "$cache"
install_packages $packages
unpack_kernel
make_venv
if [ "${1:-}" = --debian13 ]; then
    . "$root/lab/debian13.sh"
    build_tree
    build_tree_venv
fi
if [ "${1:-}" = --vm ]; then
    install_packages $vm_packages
fi
