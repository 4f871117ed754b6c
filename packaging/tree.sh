# The tree of Debian 12 in which the packages are built. Read by packaging/build; not run by itself.

tree=$cache/tree
tree_release=bookworm
tree_packages="dpkg-dev debhelper fakeroot libvirt0 lintian man-db python3 python3-venv systemd"

# Unpack and configure the packages in a directory; mmdebstrap keeps them from starting anything.
make_tree() {
    [ "$(cat "$cache/tree-stamp" 2>/dev/null)" = "$tree_packages" ] && return 0
    say "making a Debian 12 tree to build in (a minute, 600 MB)"
    command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing: apt-get install mmdebstrap debian-archive-keyring"
    rm -rf "$tree"
    # What this machine's administrator has told apt of proxies and of a wrong clock holds for the tree's apt, too.
    apt-config dump --no-empty --format '%F "%v";%n' Acquire | grep -i -E '^Acquire::(Check-|https?::)' >"$cache/apt.conf" || :
    apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' 'Component: main' | grep " $tree_release" >"$cache/sources" ||
        fail "apt's sources have no Debian 12 main: run apt-get update, or add it."
    mmdebstrap --mode=root --variant=minbase --format=directory --aptopt="$cache/apt.conf" \
        --aptopt='APT::Sandbox::User "root"' --aptopt='Acquire::Retries "5"' \
        --include="$(printf '%s,' $tree_packages)" $tree_release "$tree" "$cache/sources" \
        >"$cache/mmdebstrap.log" 2>&1 </dev/null || {
        tail -n 15 "$cache/mmdebstrap.log" >&2
        fail "the tree could not be made, see $cache/mmdebstrap.log: check the network, then run this again."
    }
    printf '%s\n' "$tree_packages" >"$cache/tree-stamp"
}
