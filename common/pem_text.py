"""PEM on one line, for a configuration that holds keys and certificates itself instead of naming files."""

import re
from typing import Final

PRIVATE_KEY: Final = "PRIVATE KEY"
PUBLIC_KEY: Final = "PUBLIC KEY"
CERTIFICATE: Final = "CERTIFICATE"
LINE_CHARACTERS: Final = 64  # RFC 7468
_MARKS: Final = re.compile(r"-----[A-Z ]+-----")


def one_line(pem: str) -> str:
    """Without its marks; the first block of the text."""
    return "".join(_MARKS.split(pem)[1].split())


def pem(text: str, *, label: str) -> str:
    """From `one_line`; a text that has its marks already is taken as it is. Whether it means anything, its reader says."""
    if _MARKS.search(text):
        return text
    body = "".join(text.split())
    lines = [body[at : at + LINE_CHARACTERS] for at in range(0, len(body), LINE_CHARACTERS)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
