"""Findings about certificates: those by which libvirtds and QEMUs of two hosts know each other, and the host's own."""

from common.checks import Check, Severity

CERTIFICATE_MISSING = Check(
    code="certificate_missing",
    sentence="{host} has no {path}, and {use} needs it: {reason}.",
    hint="`{command}`",
    meaning="Without it no TLS connection can be made, or nobody's certificate be proven.",
)
CERTIFICATE_EXPIRED = Check(
    code="certificate_expired",
    sentence="The certificate {path} of {host} has expired, at {at} ({use}).",
    hint="`{command}`",
    meaning="The other side breaks the connection off, and no guest is moved.",
)
CERTIFICATE_ENDS_SOON = Check(
    code="certificate_ends_soon",
    sentence="The certificate {path} of {host} expires in {days} days, at {at} ({use}).",
    hint="`{command}`",
    severity=Severity.WARNS,
    meaning="Told 30 days ahead.",
)
CERTIFICATE_UNFIT = Check(
    code="certificate_unfit",
    sentence="The certificate {path} of {host} does not do for {use}: {reason}.",
    hint="`{command}`",
    meaning="It is of another authority, begins later, or does not name this host as others do.",
)
