"""Texts of errors that may be made of data, and so name people: KeyError('ann'). They are left out of log lines."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

LEFT_OUT = "(left out: it may name people)"

_MADE_OF_DATA = (LookupError, ValueError, TypeError, AssertionError, AttributeError, msgspec.MsgspecError)
"""Their texts show values. Those of stream_app are written for people to read, without a name."""


class _Unsaid:
    """Stands for an error whose text is left out."""

    def __init__(self, error: BaseException) -> None:
        self._text = f"{type(error).__name__}: {LEFT_OUT}"

    def __repr__(self) -> str:
        return self._text


def shown(value: Any) -> Any:
    """Return what is shown in a log line for a value: the value itself, unless it is an error made of data."""
    return _Unsaid(value) if isinstance(value, BaseException) and _is_made_of_data(value) else value


def without_data(text: str, error: BaseException | None) -> str:
    """Return a traceback, or a message with reprs, without what the error and those behind it say about data."""
    for each in _chain(error):
        if not _is_made_of_data(each):
            continue
        text = text.replace(repr(each), str(shown(each)))
        first, *others = str(each).splitlines() or [""]
        if first:
            text = text.replace(f"{type(each).__name__}: {first}", str(shown(each)))
        for line in filter(None, others):
            text = re.sub(rf"(?m)^([ |]*){re.escape(line)}$", rf"\g<1>{LEFT_OUT}", text)
    return text


def _is_made_of_data(error: BaseException) -> bool:
    is_own = type(error).__module__.startswith("stream_app.")
    return isinstance(error, _MADE_OF_DATA) and not isinstance(error, OSError) and not is_own


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all behind it, each once."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
