"""What the audit says: a danger, for which production is refused, or a warning."""

from typing import NamedTuple


class Finding(NamedTuple):
    """Where something is wrong, what, and what to do; a danger unless it is only worth a warning."""

    where: str
    what: str
    advice: str
    is_danger: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.advice}"


class AuditError(RuntimeError):
    """A danger is found where production was said; the message has a line for each."""
