"""What a plan changes, as a person reads it: no private key, and no line beside those that change. Pure."""

import difflib
from collections.abc import Iterator

from common import certificates
from compute_agent.libvirt_setup.model import Content, Edit, Observed, Plan


def shown(plan: Plan, observed: Observed) -> Iterator[str]:
    """Lines. The diffs have no context: a password may stand beside what is changed."""
    for edit in plan.edits:
        yield from _edit(edit, observed.files.get(edit.path))
    for unit in plan.units:
        yield f"systemctl enable {unit}"


def _edit(edit: Edit, before: str | None) -> Iterator[str]:
    if edit.content is Content.TEXT and before == edit.text:
        yield f"chmod +x {edit.path}"
        return
    if edit.content is Content.KEY:
        yield f"{edit.path}: {'a' if before is None else 'another'} private key"
        return
    old, new = _lines(edit.content, before), _lines(edit.content, edit.text)
    name = str(edit.path)
    source = "/dev/null" if before is None else name
    for line in difflib.unified_diff(old, new, source, name, n=0, lineterm=""):
        if not line.startswith("@@"):
            yield line


def _lines(content: Content, text: str | None) -> list[str]:
    if text is None:
        return []
    if content is Content.CERTIFICATE:
        return [_certificate(text)]
    return text.splitlines()


def _certificate(text: str) -> str:
    try:
        facts = certificates.read(text)
    except certificates.CertificateError:
        return "(no certificate)"
    names = ", ".join(facts.names) or facts.subject
    print_of = certificates.fingerprint(text).hex()[:16]
    return f"(certificate {print_of} of {names}, by {facts.issuer}, until {facts.not_after:%Y-%m-%d})"
