"""All families, in the order in which they are told."""

from typing import Final

from common import doctor_questions as questions
from compute_agent.doctor.certificates import answer_certificates
from compute_agent.doctor.clock import answer_clock
from compute_agent.doctor.hook import answer_hook
from compute_agent.doctor.libvirt import answer_libvirt, answer_listening
from compute_agent.doctor.look import Family
from compute_agent.doctor.places import answer_locks, answer_state
from compute_agent.doctor.reaching import answer_consoles, answer_names, answer_ports

FAMILIES: Final = (
    Family(question=questions.CLOCK, answer=answer_clock),
    Family(question=questions.LIBVIRT, answer=answer_libvirt),
    Family(question=questions.LISTENING, answer=answer_listening),
    Family(question=questions.CERTIFICATES, answer=answer_certificates),
    Family(question=questions.NAMES, answer=answer_names),
    Family(question=questions.PORTS, answer=answer_ports),
    Family(question=questions.HOOK, answer=answer_hook),
    Family(question=questions.STATE, answer=answer_state),
    Family(question=questions.CONSOLES, answer=answer_consoles),
    Family(question=questions.LOCKS, answer=answer_locks),
)
"""With and without an agent."""
