"""Open, write or read files, as whoever runs this: a part of the agent, and the whole of the process in `subprocesses`.

That process gets this text by `python -c` and has nothing of ours to import: the standard library only, and little of it.
"""

import json
import os
import sys

TEXT_MAX_BYTES = 256


def perform(do: str, path: str, text: str, is_writing: bool) -> str:
    """`open` changes nothing; `write` makes a small file anew; `read` returns one; `remove`. Raises OSError."""
    if do == "write":
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o644), "w") as file:
            file.write(text)
    elif do == "read":
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            return file.read(TEXT_MAX_BYTES).decode("ascii", "replace")
    elif do == "remove":
        os.unlink(path)  # noqa: PTH108 (pathlib takes long to import)
    else:
        os.close(os.open(path, (os.O_RDWR if is_writing else os.O_RDONLY) | os.O_NONBLOCK | os.O_CLOEXEC))
    return ""


def attempt(action: "dict[str, object]") -> "dict[str, object]":
    try:
        return {"text": perform(**action), "error": "", "code": 0}  # type: ignore[arg-type]
    except OSError as error:
        return {"text": "", "error": error.strerror or str(error), "code": error.errno or 0}


if __name__ == "__main__":
    json.dump([attempt(action) for action in json.load(sys.stdin)], sys.stdout)
