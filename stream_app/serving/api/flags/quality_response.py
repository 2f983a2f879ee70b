"""How good the flags were, as the API answers it."""

from collections.abc import Callable

from stream_app.core.flags.flag_quality import WINDOWS, FlagQuality, Window
from stream_app.core.messages import ROLES, Role
from stream_app.serving.api.responses import Answer, TimeMs


class Quality(Answer, frozen=True, kw_only=True):
    """How good the flags of a role were, in the last day or week of event time."""

    role: Role
    window: Window
    warnings: int
    """Emerging flags whose outcome is known."""
    right: int
    """Those of them whose user entered within 12 h."""
    precision: float | None
    """null while there are no warnings."""
    entries: int
    foreseen: int
    """Entries with a warning within the 12 h before."""
    recall: float | None
    lead_s: float | None
    """From the first warning to the entry, median."""
    flags: int
    """Of all types."""
    flags_per_standing: float | None
    """Over the standings that ended."""


class FlagQualities(Answer, frozen=True, kw_only=True):
    """How good the flags of all workers were, by role and window."""

    qualities: list[Quality]
    since: TimeMs | None
    """Flags detected earlier are not kept, and not in here; null where nothing is missing."""


def qualities_of(quality: Callable[[Role, Window], FlagQuality], since_ms: int | None) -> FlagQualities:
    """The answer; `since_ms`: flags detected earlier are not in it."""
    measured = [quality(role, window) for role in ROLES for window in WINDOWS]
    return FlagQualities(qualities=list(map(_quality, measured)), since=since_ms)


def _quality(found: FlagQuality) -> Quality:
    return Quality(
        role=found.role,
        window=found.window,
        warnings=found.warnings,
        right=found.right,
        precision=_digits(found.precision),
        entries=found.entries,
        foreseen=found.foreseen,
        recall=_digits(found.recall),
        lead_s=found.lead_s,
        flags=found.flags,
        flags_per_standing=_digits(found.flags_per_standing),
    )


def _digits(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
