"""What can go wrong in the lab, told to the person who started it."""


class LabError(Exception):
    """The lab cannot do what was asked. `hint` says what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


def last_lines(text: str, *, count: int = 8) -> str:
    """Return the end of a log or of a command's output, for a hint."""
    return "\n  ".join(text.strip().splitlines()[-count:])
