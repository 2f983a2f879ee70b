"""References to secrets in a file: ${NAME} for a variable of the environment, or the path of another file."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

_REFERENCE = re.compile(r"\$\{(\w+)\}")


class MissingReferenceError(ValueError):
    """A variable or file that a reference names is missing; the message names it."""


def filled(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """`text` with each ${NAME} replaced by the value of the variable. Raises MissingReferenceError."""

    def value(found: re.Match[str]) -> str:
        if not environ.get(found[1]):
            raise MissingReferenceError(f"the variable {found[1]} is not set: set it, or name a file with …_file")
        return environ[found[1]]

    return _REFERENCE.sub(value, text)


def content(path: str) -> str:
    """The text of a file, without the space around it. Raises MissingReferenceError."""
    try:
        return Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise MissingReferenceError(f"the file {path!r} cannot be read ({why})") from None
