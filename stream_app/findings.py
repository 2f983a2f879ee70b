"""What a check found: where, how severe it is, what, and what to do. For the topic check, the audit, the doctor."""

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """From harmless to broken."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not for ever, or not for everybody."""
    DANGER = "danger"
    """It does harm once something else fails: the startup audit refuses it in production."""
    PROBLEM = "problem"
    """It does not work, or does harm already."""


class Finding(NamedTuple):
    """One of them; `advice` is empty where nothing is to be done."""

    area: str
    state: Severity
    found: str
    advice: str = ""

    @property
    def is_danger(self) -> bool:
        """Whether production must not start with it."""
        return self.state in {Severity.DANGER, Severity.PROBLEM}

    def __str__(self) -> str:
        return f"{self.area}: {self.found}; {self.advice}"


def ok(area: str, found: str) -> Finding:
    """All is well."""
    return Finding(area, Severity.OK, found)


def warning(area: str, found: str, advice: str) -> Finding:
    """See Severity.WARNING."""
    return Finding(area, Severity.WARNING, found, advice)


def danger(area: str, found: str, advice: str) -> Finding:
    """See Severity.DANGER."""
    return Finding(area, Severity.DANGER, found, advice)


def problem(area: str, found: str, advice: str) -> Finding:
    """See Severity.PROBLEM."""
    return Finding(area, Severity.PROBLEM, found, advice)
