"""What the audit says: a danger, for which production is refused, or a warning."""

from enum import StrEnum
from typing import NamedTuple


class Grade(StrEnum):
    """How bad it is."""

    WARNING = "warning"
    """Good to know."""
    DANGER = "danger"
    """Once something else goes wrong it does harm."""
    HARM = "harm"
    """It does harm already."""


class AuditFinding(NamedTuple):
    """Where something is wrong, what, and what to do."""

    where: str
    what: str
    advice: str
    grade: Grade = Grade.DANGER

    @property
    def is_danger(self) -> bool:
        """Whether it is more than a warning."""
        return self.grade is not Grade.WARNING

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.advice}"


class AuditError(RuntimeError):
    """A danger is found where production was said; the message has a line for each."""
