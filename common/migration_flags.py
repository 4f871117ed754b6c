"""What [libvirt]live_migration_flag may hold: libvirt's names, and which of them cannot work, with the reason.

The values of the flags are libvirt's own: only compute_agent.hypervisor imports it. Nothing here may be softened
into a warning: a migration with a wrong flag fails late, or (UNSAFE, NON_SHARED_*) succeeds with a broken guest.
"""

from collections.abc import Iterator, Sequence

PREFIX = "VIR_MIGRATE_"

MANDATORY = {
    "LIVE": "without it libvirt stops the guest for the whole transfer",
    "PEER2PEER": "the source's libvirtd leads the migration, which therefore survives a restart of the agent",
    "PERSIST_DEST": "the definition on the dest tells after a crash how far libvirt got",
    "UNDEFINE_SOURCE": "otherwise each migration leaves a definition behind that somebody could start",
}
DEFAULT = tuple(PREFIX + name for name in ("UNDEFINE_SOURCE", "PEER2PEER", "LIVE", "PERSIST_DEST"))

OPTIONAL = (
    "TUNNELLED",
    "TLS",
    "COMPRESSED",
    "AUTO_CONVERGE",
    "PARALLEL",
    "ZEROCOPY",
    "ABORT_ON_ERROR",
    "CHANGE_PROTECTION",
    "POSTCOPY",  # permitted, and without effect: nothing switches a migration to post-copy yet
)

_MODE_DECIDES = "the mode of the migration (shared storage or block) decides that, not the configuration"
REFUSED = {
    "UNSAFE": "it switches off libvirt's check against corrupted disks; Limosa never uses it",
    "NON_SHARED_DISK": _MODE_DECIDES,
    "NON_SHARED_INC": _MODE_DECIDES,
    "NON_SHARED_SYNCHRONOUS_WRITES": _MODE_DECIDES,
    "OFFLINE": "libvirt then reports success for a running guest and leaves it where it was",
    "PAUSED": "every guest would stay paused after its migration; one that is paused stays so without it",
    "POSTCOPY_RESUME": "it belongs to the recovery of a broken post-copy, which sets it itself",
    "RDMA_PIN_ALL": "Limosa makes tcp migration URIs, and it is for rdma ones",
}

# (both of them, why not)
_EXCLUSIVE = (
    ("TUNNELLED", "TLS", "the tunnel is libvirt's own stream, which QEMU's TLS cannot protect"),
    ("TUNNELLED", "PARALLEL", "a tunnel is one connection"),
    ("TUNNELLED", "POSTCOPY", "post-copy needs QEMU's own connection"),
    ("TUNNELLED", "ZEROCOPY", "the tunnel copies everything through libvirtd"),
    ("POSTCOPY", "PARALLEL", "QEMU refuses post-copy over parallel connections"),
    ("ZEROCOPY", "TLS", "what is encrypted is copied"),
    ("ZEROCOPY", "COMPRESSED", "what is compressed is copied"),
    (
        "COMPRESSED",
        "PARALLEL",
        "libvirt compresses by xbzrle unless told otherwise, which has one connection only",
    ),
)
_REQUIRES = (("ZEROCOPY", "PARALLEL", "QEMU has it for parallel connections only"),)

KNOWN = frozenset((*MANDATORY, *OPTIONAL, *REFUSED))


def problems(flags: Sequence[str]) -> Iterator[str]:
    """Each reason why this list cannot be used; nothing if it can."""
    names = [flag.removeprefix(PREFIX) for flag in flags]
    for flag, name in zip(flags, names, strict=True):
        if not flag.startswith(PREFIX) or name not in KNOWN:
            yield f"{flag} is no flag of libvirt's that Limosa knows"
        elif name in REFUSED:
            yield f"{flag} cannot be used: {REFUSED[name]}"
    for name, reason in MANDATORY.items():
        if name not in names:
            yield f"{PREFIX}{name} is mandatory: {reason}"
    for one, other, reason in _EXCLUSIVE:
        if one in names and other in names:
            yield f"{PREFIX}{one} and {PREFIX}{other} cannot go together: {reason}"
    for one, needed, reason in _REQUIRES:
        if one in names and needed not in names:
            yield f"{PREFIX}{one} needs {PREFIX}{needed}: {reason}"
