"""What the HTTP API answers: every message, field by field; the OpenAPI document is generated from here."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stream_app.core.messages import ChanceFrom, Cut, Flag, Role
from stream_app.core.privacy.min_group import Individuals
from stream_app.core.signals.facts import Fact

Standing = Literal["none", "emerging", "entered", "fading"]
Trend = Literal["rising", "steady", "falling"]
"""rising and falling: the short window is two standard deviations or more above or below the own past."""

TimeMs = Annotated[int, Meta(description="epoch ms")]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every answer: immutable, made with names."""


class Problem(Answer, frozen=True, kw_only=True):
    """Why there is no answer (RFC 9457, application/problem+json)."""

    title: str
    status: int
    detail: str
    """What is wrong and what to do."""
    type: str = "about:blank"


class About(Answer, frozen=True, kw_only=True):
    """What is counted and by which rules: the settings a reader needs to understand the numbers."""

    version: str
    settings_version: str
    share: float
    """The part of all posts or impressions that the cut makes: 0.8."""
    window_s: float
    pane_s: float
    short_s: float
    min_users: int
    """Topics with fewer users flag nobody."""
    min_posts: int
    min_impressions: int
    leave_ratio: float
    """ρ: a standing is lost below ρ·θ."""
    emerging_door: float
    diffuse_fraction: float
    emerging_z: float
    emerging_horizon_s: float
    population_sizes: dict[str, int]
    rules: dict[str, str]
    """What each numbered rule of the flags says."""
    min_group: int = 0
    """Fewer people are not named or counted apart, and numbers are coarse; 0: no minimum."""
    individuals: Individuals = "all"


class Health(Answer, frozen=True, kw_only=True):
    """The pipeline in one line: all workers together, as far as they have published."""

    live: bool
    """Of the worker that answers, like `ready`."""
    ready: bool
    events_per_s: float
    """Records counted per second, whatever became of them: over the last seconds."""
    lag_records: int
    """Records on Kafka that are not counted yet."""
    delay_s: float | None
    """Wall clock less event time reached: large when the events themselves are old; null before the first event."""
    event_time: TimeMs | None
    """Event time reached, which is where the window ends."""
    counting_since: TimeMs | None
    """Event time of the first event that this worker counted: windows that begin before are not full."""
    applied: int
    """Events counted since the beginning; the next three are what became of the others."""
    duplicate: int
    late: int
    rejected: int
    retracted: int
    """Taken back: events that had been counted, and events that came after their retraction."""
    users: int
    """Active in the window."""
    partitions: int
    """Partitions with a status."""
    partitions_expected: int
    workers: int
    flags_per_hour: float
    """Flags of the last hour of wall time."""
    redis_up: bool | None
    """null where there is no Redis."""
    releases: list[str] = []
    """Releases of the workers; empty text stands for one before 0.3. More than one: an upgrade is under way."""
    settings_versions: list[str] = []
    """Versions of their settings; more than one: nobody raises flags."""


class Topic(Answer, frozen=True, kw_only=True):
    """A topic in one population, with both its cuts; null where nobody has a value."""

    topic: str
    population: str
    users: int
    """The larger number of users of the two cuts."""
    connector: Cut | None
    maven: Cut | None


class Page(Answer, frozen=True, kw_only=True):
    """What all lists have in common."""

    total: int
    """How many there are, on this page or not."""
    next: int | None
    """The `offset` of the next page; null on the last, and where it would be more than may be asked for."""


class Topics(Page, frozen=True, kw_only=True):
    """Topics, `*` first, then those with the most users."""

    topics: list[Topic]
    populations: list[str]
    """Every population that there is, the largest first."""


class Cuts(Page, frozen=True, kw_only=True):
    """The present cuts."""

    cuts: list[Cut]


class Moment(Answer, frozen=True, kw_only=True):
    """A cut as it was when a pane ended."""

    window_end: TimeMs
    users: int
    total: int
    k: int
    threshold: int
    coverage: float
    percent_of_users: float
    gini: float
    flagged: int
    emerging: int
    k_low: int | None
    """Null, like the other five, where none is known, see Cut."""
    k_high: int | None
    percent_of_users_low: float | None
    percent_of_users_high: float | None
    threshold_low: int | None
    threshold_high: int | None


class History(Answer, frozen=True, kw_only=True):
    """How a cut moved: a moment for each pane of the last window, the oldest first, and now."""

    topic: str
    population: str
    role: Role
    pane_ms: int
    moments: list[Moment]


class Curve(Answer, frozen=True, kw_only=True):
    """The Lorenz curve of a topic and role, and the cut in it."""

    topic: str
    population: str
    role: Role
    cut: Cut | None
    """null where nobody has a value."""
    points: list[tuple[float, float]]
    """(part of the users, part of the total they make), from the highest value down: from (0, 0) to (1, 1)."""
    with_evidence: int
    """Users with the least posts or impressions that a flag needs; an estimate where the curve is long."""


class Influencer(Answer, frozen=True, kw_only=True):
    """A user in one topic and role."""

    user_id: str
    rank: int
    """Users with a higher value, plus one; exact but for the width of a bin."""
    value: int
    """Posts (maven) or impressions (connector) in the window."""
    share: float
    """The user's fraction of the total."""
    standing: Standing
    borderline: bool
    """The value is inside the 95 % interval of θ: who happened to be active decides whether it is in the cut."""
    trend: Trend
    short_rate: float
    """Per hour, in the short window."""
    long_rate: float
    """Per hour, in the rest of the window."""
    rate_error: float
    """One standard deviation of short_rate."""
    z: float
    events: float
    """Effective number of events behind the short window."""
    eta_s: float | None
    """Until the value reaches θ at the present pace; null when it is above, or not on course."""
    chance: float | None = None
    """Of somebody emerging: the chance that the flag gave. So are the next two."""
    chance_flags: int | None = None
    chance_from: ChanceFrom | None = None
    signals: list[Fact] = []
    """What was noticed about the user in 24 h of event time, whatever the topic: facts, and no verdict."""
    trusted: int | None = None
    """The value, less what bounded audiences leave out, as a part of the user's impressions of 24 h in all topics.

    0 for who has a fact; null from a worker of a release before 0.4."""
    panes: list[int]
    """Posts or impressions of each pane of the window, the oldest first."""


class Influencers(Page, frozen=True, kw_only=True):
    """Users of a topic and role, in the order asked for."""

    topic: str
    population: str
    role: Role
    threshold: int
    """θ; 0 where there is no cut."""
    pane_ms: int
    first_pane: TimeMs
    """Where the first of `panes` begins, event time."""
    influencers: list[Influencer]
    missing_partitions: list[int]
    """Partitions whose worker did not answer: their users are not here, or the cut of the topic is not known."""


class Place(Answer, frozen=True, kw_only=True):
    """Where a user stands in one topic and role."""

    topic: str
    population: str
    role: Role
    threshold: int
    now: Influencer
    flag: Flag | None
    """The last flag of the present standing; null where there is none."""


class User(Answer, frozen=True, kw_only=True):
    """A user: every topic and role with a value in the window, the highest share first."""

    user_id: str
    pane_ms: int
    first_pane: TimeMs
    places: list[Place]


class Flags(Answer, frozen=True, kw_only=True):
    """Flags, the newest first."""

    flags: list[Flag]
    position: str
    """Give it as Last-Event-ID to /flags/stream to have everything that comes after these."""
    since: TimeMs | None
    """Flags (of the type asked for) detected up to then may be missing here, Kafka has them; null: none is."""
