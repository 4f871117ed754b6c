"""Whether the certificates that this host uses are there, name it, and last."""

from collections.abc import Iterator

from common.diagnosis import Diagnosis
from common.doctor_questions import CERTIFICATES
from compute_agent.checks.certificates import files_of, findings_of
from compute_agent.doctor.look import HostLook


def answer_certificates(look: HostLook) -> Iterator[Diagnosis]:
    host, has_any = look.host, False
    for file in files_of(look.settings):
        if not (file.is_needed or file.path.exists()):
            continue
        has_any = True
        findings = tuple(findings_of(file, settings=look.settings))
        yield from CERTIFICATES.all_found(findings, host=host)
        if not findings:
            yield CERTIFICATES.passed(f"{file.path} is good for {file.use}.", host=host)
    if not has_any:
        yield CERTIFICATES.passed("None is used here.", host=host)
