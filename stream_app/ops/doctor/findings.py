"""What an examination says: what was found, whether it is well, and what to do next."""

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One of them; `advice` is empty where nothing is to be done."""

    area: str
    state: Severity
    found: str
    advice: str = ""


def ok(area: str, found: str) -> Finding:
    """All is well."""
    return Finding(area, Severity.OK, found)


def warning(area: str, found: str, advice: str) -> Finding:
    """It works, but not for ever, or not for everybody."""
    return Finding(area, Severity.WARNING, found, advice)


def problem(area: str, found: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(area, Severity.PROBLEM, found, advice)
