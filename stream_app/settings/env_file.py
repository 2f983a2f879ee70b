"""Reads an env file: lines of NAME=VALUE, in the form that Docker Compose and systemd read alike."""

import re
from collections.abc import Iterator
from pathlib import Path

from stream_app.settings.schema import SettingsError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPED = re.compile(r'\\(["\\$`])')
_COMMENTS = ("#", ";")


def read_env_file(path: str) -> dict[str, str]:
    """The variables of a file. Raises SettingsError, which names file and line but no value: it may be a secret."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"the env file {path!r} cannot be read ({why})") from None
    found: dict[str, str] = {}
    seen_in: dict[str, int] = {}
    for number, line in _lines(text):
        where = f"{path}, line {number}"
        name, equals, value = line.partition("=")
        name = name.rstrip()
        if not equals or not _NAME.fullmatch(name):
            raise SettingsError(f"{where}: {_why_no_name(name, has_value=bool(equals))}")
        if name in seen_in:
            raise SettingsError(f"{where}: {name} is set in line {seen_in[name]} already: remove one of the two")
        seen_in[name] = number
        found[name] = _value(value.strip(), where, name)
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith(_COMMENTS):
            yield number, stripped


def _why_no_name(name: str, *, has_value: bool) -> str:
    if name.split()[:1] == ["export"]:
        return "write NAME=VALUE without `export`: this is no shell script"
    if not has_value:
        return "there is no `=`: write NAME=VALUE, and each value in one line"
    return f"{name!r} is no name of a variable: write NAME=VALUE"


def _value(text: str, where: str, name: str) -> str:
    if "\0" in text:
        raise SettingsError(f"{where}: the value of {name} holds a zero byte")
    quote = text[:1]
    if quote in {"'", '"'}:
        return _unquoted(text, quote, where, name)
    if text.endswith("\\"):
        raise SettingsError(f"{where}: the value of {name} ends in a backslash: write it in one line, or in quotes")
    return text


def _unquoted(text: str, quote: str, where: str, name: str) -> str:
    body = r"(?:\\.|[^\"\\])*" if quote == '"' else "[^']*"
    found = re.fullmatch(f"{quote}({body}){quote}", text)
    if found is None:
        raise SettingsError(
            f"{where}: the value of {name} begins with {quote} and does not end with it: "
            "close the quotes in the same line, and write nothing after them"
        )
    return _ESCAPED.sub(r"\1", found[1]) if quote == '"' else found[1]
