# A Debian 13 for hosts of a newer generation: a root file system and a venv made by its Python, both in the cache.
# Read by bootstrap.sh --debian13; not run by itself.

generation=$cache/debian13
tree=$generation/tree
tree_venv=$generation/venv

# What a compute host of the lab needs, and what its agent runs on: python3-libvirt spares the tree a compiler.
tree_packages="
    libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 qemu-utils
    iproute2 nftables python3 python3-venv python3-libvirt
"

# Print apt sources of Debian 13: this machine's own, with the other release's name.
tree_sources() {
    list() {
        apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' \
            'Created-By: Packages' 'Origin: Debian' 'Component: main' | sed -n 's/ bookworm/ trixie/p'
    }
    sources=$(list)
    if [ -z "$sources" ]; then # a machine whose package lists were removed
        apt-get update -qq
        sources=$(list)
    fi
    printf '%s\n' "$sources"
}

# Unpack and configure the packages in a directory; mmdebstrap keeps them from starting anything.
build_tree() {
    wanted=$(printf '%s ' $tree_packages)
    [ -e "$generation/tree-stamp" ] && [ "$(cat "$generation/tree-stamp")" = "$wanted" ] && return 0
    say "building a Debian 13 tree (half a minute, 400 MB)"
    install_packages mmdebstrap debian-archive-keyring
    rm -rf "$generation"
    mkdir -p "$generation"
    # What this machine's administrator has told apt of proxies and of a wrong clock holds for the tree's apt, too.
    apt-config dump --no-empty --format '%F "%v";%n' Acquire | grep -i -E '^Acquire::(Check-|https?::)' >"$generation/apt.conf"
    tree_sources >"$generation/sources"
    [ -s "$generation/sources" ] || fail "apt's sources have no Debian main: the tree's packages come from the same mirror."
    # apt's own unprivileged user is one more thing that a container may not have as apt wants it.
    mmdebstrap --mode=root --variant=minbase --format=directory --aptopt="$generation/apt.conf" \
        --aptopt='APT::Sandbox::User "root"' --aptopt='Acquire::Retries "5"' \
        --include="$(printf '%s,' $tree_packages)" trixie "$tree" "$generation/sources" \
        >"$cache/mmdebstrap.log" 2>&1 </dev/null || {
        tail -n 15 "$cache/mmdebstrap.log" >&2
        fail "the Debian 13 tree could not be built, see $cache/mmdebstrap.log: check the network and that the mirror has trixie."
    }
    printf '%s\n' "$wanted" >"$generation/tree-stamp"
}

# The venv stands at the same path as Debian 12's, on the hosts that see it there.
build_tree_venv() {
    wanted=$(
        sha256sum "$root/setup.cfg" "$generation/tree-stamp"
        echo "$venv"
    )
    [ -e "$tree_venv/stamp" ] && [ "$(cat "$tree_venv/stamp")" = "$wanted" ] && return 0
    case $root in
        /usr/*) fail "the checkout lies below /usr, over which Debian 13's is laid for pip: move it, then run this again." ;;
    esac
    say "building Debian 13's venv (a quarter of a minute)"
    rm -rf "$tree_venv"
    mkdir -p "$tree_venv"
    # Debian 13's /usr under this machine's /etc: pip finds its network, proxies and certificates as always.
    unshare --mount --propagation private /bin/sh -euc '
        mount --bind "$1/usr" /usr
        mount --bind "$2" "$3"
        /usr/bin/python3 -m venv --system-site-packages "$3"
        "$3/bin/pip" install --disable-pip-version-check --cache-dir "$4/pip" -e "$5"
    ' sh "$tree" "$tree_venv" "$venv" "$cache" "$root" >"$cache/pip-debian13.log" 2>&1 </dev/null ||
        fail "Debian 13's venv could not be built, see $cache/pip-debian13.log: check the network, then run this again."
    printf '%s\n' "$wanted" >"$tree_venv/stamp"
}
