"""All that `doctor` looks at, and its page: `python -m common.doctor_questions` prints docs/doctor.md; a test compares."""

import sys
from typing import Final

from common import certificate_checks, doctor_checks, host_pair_checks, pair_checks, place_checks
from common.check_catalog import entry
from common.checks import CHECK_FAILED, CHECK_TIMED_OUT, HYPERVISOR_SILENT, SERVICE_DOWN
from common.diagnosis import Question
from common.host_checks import SERVICE_DISABLED

CERTIFICATE_CHECKS: Final = (
    certificate_checks.CERTIFICATE_MISSING,
    certificate_checks.CERTIFICATE_EXPIRED,
    certificate_checks.CERTIFICATE_ENDS_SOON,
    certificate_checks.CERTIFICATE_UNFIT,
)

# ---- only of `limosa-compute-agent doctor`: whoever is asked over the bus has all this

CONFIGURATION: Final = Question(
    word="configuration",
    meaning="Whether limosa.conf is there, can work, and is not read by everybody.",
    checks=(
        doctor_checks.CONFIGURATION_MISSING,
        doctor_checks.CONFIGURATION_UNUSABLE,
        doctor_checks.CONFIGURATION_EXPOSED,
    ),
)
KEYS: Final = Question(
    word="keys",
    meaning="Whether the host has its own key, and the conductors' public one.",
    checks=(doctor_checks.KEY_UNUSABLE,),
)
AGENT: Final = Question(
    word="agent",
    meaning="Whether this host's compute agent runs, and as root.",
    checks=(doctor_checks.AGENT_ABSENT, doctor_checks.SERVICE_USER_POOR),
)
BROKER: Final = Question(
    word="broker",
    meaning="Whether RabbitMQ lets this host in, by TLS, and a conductor answers it.",
    checks=(
        doctor_checks.BROKER_UNUSABLE,
        doctor_checks.BROKER_IN_CLEAR,
        doctor_checks.CONDUCTOR_SILENT,
        doctor_checks.HOST_UNKNOWN,
    ),
)

# ---- of one host

CLOCK: Final = Question(
    word="clock",
    meaning="Whether the clock is kept, and how far it is from the conductor's.",
    checks=(doctor_checks.CLOCK_LOOSE, doctor_checks.CLOCK_APART),
)
LIBVIRT: Final = Question(
    word="libvirt",
    meaning="Whether libvirt answers the agent, and which versions it and QEMU are of.",
    checks=(doctor_checks.LIBVIRT_UNUSABLE, doctor_checks.LIBVIRT_OLD),
)
LISTENING: Final = Question(
    word="listening",
    meaning="Whether libvirtd listens for other hosts, and asks them who they are.",
    checks=(doctor_checks.NOT_LISTENING, doctor_checks.TCP_OPEN),
)
CERTIFICATES: Final = Question(
    word="certificates",
    meaning="Whether the certificates that libvirt, QEMU and the agent use are there, name this host, and last.",
    checks=CERTIFICATE_CHECKS,
)
NAMES: Final = Question(
    word="names",
    meaning="Whether this host can find itself by its own name.",
    checks=(pair_checks.NAME_UNRESOLVED,),
)
PORTS: Final = Question(
    word="ports",
    meaning="Whether a port is free for the memory of a guest that arrives.",
    checks=(pair_checks.PORTS_TAKEN,),
)
HOOK: Final = Question(
    word="hook",
    meaning="Whether libvirt has our qemu hook, of this version, and calls it.",
    checks=(pair_checks.HOOK_MISSING, doctor_checks.HOOK_OTHER, doctor_checks.HOOK_UNSEEN),
)
STATE: Final = Question(
    word="state",
    meaning="Whether the agent may write what must survive it, and disks that are copied here.",
    checks=(place_checks.STATE_NOT_WRITABLE, doctor_checks.PLACE_NOT_WRITABLE),
)
CONSOLES: Final = Question(
    word="consoles",
    meaning="Whether this host has the addresses on which VNC and SPICE of guests that come would listen.",
    checks=(doctor_checks.LISTEN_ADDRESS_ABSENT,),
)
LOCKS: Final = Question(
    word="locks",
    meaning="Which lock keeps a second host from starting a guest on the same disk.",
    checks=(doctor_checks.LOCK_MANAGER_ABSENT,),
)

# ---- of the conductors, and of two hosts

HEARD: Final = Question(
    word="heard",
    meaning="Whether the conductors hear the host, and it answers them.",
    checks=(SERVICE_DOWN, HYPERVISOR_SILENT, SERVICE_DISABLED, CHECK_TIMED_OUT, CHECK_FAILED),
)
PEER: Final = Question(
    word="peer",
    meaning="Whether one host finds the other by name, and its libvirtd answers and is that of that host.",
    checks=(
        pair_checks.NAME_UNRESOLVED,
        pair_checks.PEER_UNREACHABLE,
        pair_checks.PEER_NOT_PROVEN,
        pair_checks.PEER_IS_ANOTHER,
        pair_checks.HOST_UUID_SHARED,
    ),
)
PEER_PORTS: Final = Question(
    word="peer-ports",
    meaning="Whether one host reaches the other's ports for the memory of guests.",
    checks=(pair_checks.MIGRATION_HOST_UNUSABLE, pair_checks.PORT_UNREACHABLE),
)
ALIKE: Final = Question(
    word="alike",
    meaning="Whether both hosts have what must be the same on both.",
    checks=(
        host_pair_checks.QEMU_USERS_DIFFER,
        pair_checks.SERVICE_USER_DIFFERS,
        pair_checks.SECURITY_MODEL_DIFFERS,
        pair_checks.LOCK_MANAGER_DIFFERS,
        host_pair_checks.VERSIONS_DIFFER,
        host_pair_checks.AGENT_VERSIONS_DIFFER,
    ),
)
CPU: Final = Question(
    word="cpu",
    meaning="Whether a guest finds the same CPU on both hosts.",
    checks=(host_pair_checks.CPUS_DIFFER,),
)
SHARED: Final = Question(
    word="shared",
    meaning="Whether directories with disks of guests are on the same storage on both hosts.",
    checks=(host_pair_checks.PLACE_DIFFERS,),
)

OF_ONE_HOST: Final = (
    CONFIGURATION, KEYS, AGENT, BROKER, CLOCK, LIBVIRT, LISTENING, CERTIFICATES, NAMES, PORTS, HOOK, STATE, CONSOLES, LOCKS,
)  # fmt: skip
OF_THE_CONDUCTORS: Final = (HEARD, PEER, PEER_PORTS, ALIKE, CPU, SHARED)
QUESTIONS: Final = (*OF_ONE_HOST, *OF_THE_CONDUCTORS)

_INTRODUCTION = """\
# What `doctor` looks at

Generated from the code by `python -m common.doctor_questions`; do not edit.

`limosa-compute-agent doctor [PEER...]` (as root, on a compute host) looks at that host, with or without a configuration,
with or without an agent, and at its way to each PEER that is named. `limosa doctor [HOST...]` asks the agents of all hosts
and each pair of them, both ways, through a conductor: at most 32 hosts at a time, so name them where there are more.
Nothing is changed by either.

One line for each thing: `pass`, `warn` (somebody may want to mend it), or `fix` (it stops migrations; below: *refuses*). A
line that did not pass ends with the command, or the line of a file, that mends it. What could not be looked at is told as
`check_failed`. `-f json` shows a program all of it. The exit code is 4 if anything would stop a migration, else 0.

A migration makes the same checks of its two hosts, and more that concern its guest: [checks.md](checks.md).
`limosa cpu-baseline HOST HOST...` prints the CPU that all of these hosts can give a guest, for the guest's XML.

Below, what stands in capitals is filled in.
"""


def render_page() -> str:
    """The text of docs/doctor.md."""
    return "\n".join([_INTRODUCTION, *map(_section, QUESTIONS)])


def _section(question: Question) -> str:
    found = "\n".join(entry(check, level=3) for check in question.checks)
    return f"## {question.word}\n\n{question.meaning}\n\n{found}"


if __name__ == "__main__":
    sys.stdout.write(render_page())
