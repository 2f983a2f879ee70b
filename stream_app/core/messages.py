"""The public messages the tracker writes; their JSON Schemas in schemas/ are generated from here."""

from enum import StrEnum

import msgspec

ALL_TOPICS = "*"
"""The topic that every event also counts in."""

DEFAULT_POPULATION = "all"


class Role(StrEnum):
    """What a user is ranked by: a maven by influence posts, a connector by influence impressions."""

    MAVEN = "maven"
    CONNECTOR = "connector"


ROLES = (Role.MAVEN, Role.CONNECTOR)
"""In column order: row 0 of every totals array is posts, row 1 impressions."""


class FlagType(StrEnum):
    """How a standing changed."""

    EMERGING = "emerging"
    ENTERED = "entered"
    FADING = "fading"
    LEFT = "left"


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest set of users who make `share` of a scope; one record on `influence.cuts`."""

    topic: str
    population: str
    role: Role
    users: int
    """Users with a value above zero in the window."""
    total: int
    """Sum of their values: posts (maven) or impressions (connector)."""
    k: int
    """Size of the cut."""
    threshold: int
    """θ: the value of the k-th user."""
    ties: int
    """Users whose value equals θ."""
    coverage: float
    """What the k users make, as a fraction of the total."""
    percent_of_users: float
    """100 · k / users."""
    percent_of_population: float | None = None
    """100 · k / the stated size of the population, where one is configured."""
    gini: float
    diffuse: bool
    """The cut needs too large a part of the users to mean anything: nobody is flagged."""
    exact: bool
    """False while θ is known only to the width of its bin (under 4 %)."""
    flagged: int
    """Users whose standing is entered or fading."""
    emerging: int
    share: float
    window_start: int
    """Epoch ms, inclusive."""
    window_end: int
    """Epoch ms, exclusive."""
    computed_at: int
    """Wall clock, epoch ms."""
    settings_version: str


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A standing that changed: one record on `influence.flags`, and the last one per user on `influence.standings`."""

    flag_id: str
    """The same for every repeat of the same change: drop what you have seen."""
    type: FlagType
    role: Role
    topic: str
    population: str
    user_id: str
    value: int
    """Posts or impressions of the user in the window."""
    threshold: int
    """θ of the scope when the flag was raised."""
    share: float
    """The user's fraction of the scope's total."""
    rank: int
    """Estimate: users of the scope with a higher value, plus one."""
    short_rate: float
    """Per hour, in the short window."""
    long_rate: float
    """Per hour, in the rest of the window: the user's own past."""
    rate_error: float
    """One standard deviation of short_rate."""
    z: float
    """How far the short window is above the own past, in standard deviations."""
    events: float
    """Effective number of events behind the short window, (Σi)² / Σi²."""
    eta_s: float | None
    """Seconds of event time until the value reaches θ at the present pace; null when it is not on course."""
    rule: int
    """Number of the rule that decided (see stream_app/core/flags/standing.py)."""
    window_start: int
    window_end: int
    event_time: int
    """Event time the decision was made at, epoch ms."""
    detected_at: int
    """Wall clock, epoch ms."""
    settings_version: str


_FLAG = msgspec.json.Decoder(Flag)


def flag_in(value: bytes | None) -> Flag | None:
    """The flag in a record of the flags topic; None where it holds none of this release."""
    try:
        return _FLAG.decode(value or b"")
    except msgspec.DecodeError:
        return None


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """A message about flags that a sink did not take; one record on `influence.undelivered`."""

    sink: str
    """Its name in the alerts file."""
    rule: str
    """The name of the rule that named the sink."""
    message_id: str
    """The flag_id, or that of a digest."""
    reason: str
    """What the sink said last, or why it was not asked any more."""
    attempts: int
    """How often it was tried, as far as the process that gave up knows."""
    decided_at: int
    """When it was to be sent, epoch ms."""
    given_up_at: int
    """Epoch ms."""
    flags: list[Flag]
    """What it was about, the most important first."""
    title: str
    text: str
