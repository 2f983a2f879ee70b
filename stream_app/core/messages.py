"""The public messages that the tracker writes. Their JSON Schemas in schemas/ are generated from here."""

from enum import StrEnum
from math import isfinite
from typing import NamedTuple

import msgspec

from stream_app.core.decoding import DECODE_ERRORS, are_numbers
from stream_app.core.signals.facts import Fact

ALL_TOPICS = "*"
"""The pseudo-topic that every event counts in, besides its own topics."""

OTHER = "(other)"
"""The pseudo-topic of topics that are not counted by name because there are too many, and the population of such
populations. No event can name it."""

DEFAULT_POPULATION = "all"


class RoleCounts(NamedTuple):
    """What users are ranked by in a role."""

    unit: str
    """Of its values. The least that a flag needs is the setting `min_` and this."""
    in_ones: bool
    """Whether each event counts one: otherwise events are of very different size."""


class Role(StrEnum):
    """The metric that users are ranked by: their posts, their impressions, or whom they have brought in."""

    MAVEN = "maven"
    CONNECTOR = "connector"
    RECRUITER = "recruiter"

    @property
    def unit(self) -> str:
        """Of its values."""
        return COUNTED[self].unit

    @property
    def place(self) -> int:
        """In ROLES, and in every array by role."""
        return ROLES.index(self)


COUNTED = {
    Role.MAVEN: RoleCounts("posts", in_ones=True),
    Role.CONNECTOR: RoleCounts("impressions", in_ones=False),
    Role.RECRUITER: RoleCounts("recruits", in_ones=True),
}
"""The one list of roles. What else one needs: a column of its unit (`core/state/rows.py`), its setting, its words."""
ROLES = tuple(COUNTED)
"""In the order of every array by role: row 0 is posts, row 1 is impressions, row 2 is recruits."""
MEASURES = (*(role.unit for role in ROLES), "amplified")
"""All that is counted of a user. Amplified is no role: the same impressions are those of the sharers already."""
OWN_ROLES = 2
"""So many of them, the first, count a user's own events. The others count credits, which many streams do not have."""
ROLE_BITS = 2
"""A curve is scope << ROLE_BITS | place of the role."""
ROLE_MASK = (1 << ROLE_BITS) - 1


class FlagType(StrEnum):
    """The change of a standing that a flag reports."""

    EMERGING = "emerging"
    ENTERED = "entered"
    FADING = "fading"
    LEFT = "left"


class Reason(StrEnum):
    """Why a standing changed."""

    ROSE = "rose"
    """The user came over θ."""
    THRESHOLD_FELL = "threshold_fell"
    """θ came under the user, who did nothing."""
    NEWLY_RANKED = "newly_ranked"
    """The topic has just become one whose users are flagged."""
    BACK_OVER_THRESHOLD = "back_over_threshold"
    ACCELERATING = "accelerating"
    AT_THE_DOOR = "at_the_door"
    NEARLY_RANKED = "nearly_ranked"
    """The user is over θ of a topic that is about to be ranked."""
    UNDER_THRESHOLD = "under_threshold"
    """The user has fallen under ρ·θ."""
    TOO_LITTLE_EVIDENCE = "too_little_evidence"
    """The user has fallen under the least number of posts, impressions or recruits."""
    NO_LONGER_RANKED = "no_longer_ranked"
    """The topic has too few users, or its cut needs too many of them."""
    SLOWED_DOWN = "slowed_down"


class ChanceFrom(StrEnum):
    """What the chance of an emerging flag rests on."""

    SHIPPED = "shipped"
    """More on the streams that the release was chosen on than on this tracker's own flags."""
    OWN = "own"
    """On what became of this tracker's own flags."""


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest set of users who make up `share` of a scope's total; one record on `influence.cuts`."""

    topic: str
    population: str
    role: Role
    users: int
    """Users with a value above zero in the window."""
    total: int
    """Sum of their values: posts (maven), impressions (connector) or recruits (recruiter)."""
    k: int
    """Number of users in the cut."""
    threshold: int
    """θ: the value of the k-th user."""
    ties: int
    """Users whose value equals θ."""
    coverage: float
    """Fraction of the total that the k users make up."""
    percent_of_users: float
    """100 · k / users."""
    percent_of_population: float | None = None
    """100 · k / the size of the population, if its size is configured."""
    gini: float
    ranked: bool = True
    """Users of the scope are flagged: it has, or had until lately, enough of them, and the cut is not diffuse."""
    diffuse: bool
    """The cut needs so large a part of the users that it means nothing: nobody is flagged."""
    exact: bool
    """False while θ is known only to within its histogram bin (under 4 % wide)."""
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
    k_low: int | None = None
    """Where the 95 % interval of k begins: what k is of all people like these, for as many users.

    Null, like the other five, where no interval is known."""
    k_high: int | None = None
    """Where it ends."""
    percent_of_users_low: float | None = None
    """100 · k_low / users."""
    percent_of_users_high: float | None = None
    """100 · k_high / users."""
    threshold_low: int | None = None
    """Where the 95 % interval of θ begins.

    Users from here to threshold_high are borderline: who happened to be active decides whether they are in the cut."""
    threshold_high: int | None = None
    """Where it ends: up to 1,000 times the largest value, where a single user has nearly everything."""


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a user's standing: one record on `influence.flags`; `influence.standings` keeps the latest."""

    flag_id: str
    """Identical in every redelivery of the same flag: consumers drop ids they have already seen."""
    type: FlagType
    role: Role
    topic: str
    population: str
    user_id: str
    value: int
    """Posts, impressions or recruits of the user in the window."""
    threshold: int
    """θ of the scope when the flag was raised."""
    share: float
    """The user's fraction of the scope's total."""
    rank: int
    """Estimated rank: the number of users of the scope with a higher value, plus one."""
    short_rate: float
    """Per hour, in the short window."""
    long_rate: float
    """Per hour, in the rest of the window, which is the user's own past."""
    rate_error: float
    """One standard deviation of short_rate."""
    z: float
    """How far the short window is above the user's own past, in standard deviations."""
    events: float
    """Effective number of moments behind the short window: (Σi)² / Σi² over its slots, at least a dozen."""
    eta_s: float | None
    """Seconds of event time until the value reaches θ at the current pace; null if it never does."""
    reason: Reason | None = None
    """Why the standing changed; null in flags of releases up to 0.3."""
    warming_up: bool = False
    """The tracker had not yet seen a whole window: values still grow because it counts them for the first time."""
    chance: float | None = None
    """Which part of the emerging flags like this one is followed by `entered` within 12 h; null in all others."""
    chance_flags: int | None = None
    """Number of the tracker's own flags, whose outcome is known, behind `chance`."""
    chance_from: ChanceFrom | None = None
    signals: list[Fact] = []
    """What was noticed about the user in the 24 h before, whatever the topic: facts, and no verdict."""
    rule: int
    """Number of the rule that decided (see stream_app/core/flags/standing.py)."""
    window_start: int
    window_end: int
    event_time: int
    """Event time of the decision, epoch ms."""
    detected_at: int
    """Wall clock time of the decision, epoch ms."""
    settings_version: str


_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999."""
_FLAG = msgspec.json.Decoder(Flag)


MOST_FLAG_BYTES = 65_536


def flag_in(value: bytes | None, first_ms: int = _FIRST_MS) -> Flag | None:
    """Decode a record of the flags topic; None if it is not a flag that this release can have written.

    `first_ms`: the earliest time that it may hold.
    """
    if not value or len(value) > MOST_FLAG_BYTES:
        return None
    try:
        flag = _FLAG.decode(value)
    except DECODE_ERRORS:
        return None
    return flag if is_sound(flag, first_ms) else None


def is_sound(flag: Flag, first_ms: int = _FIRST_MS) -> bool:
    """Return whether its numbers are such as a worker can have worked out."""
    times = (flag.window_start, flag.window_end, flag.event_time, flag.detected_at)
    rates = [flag.share, flag.short_rate, flag.long_rate, flag.rate_error, flag.z, flag.events, flag.eta_s or 0.0]
    rates += [number for fact in flag.signals for number in (fact.value, fact.limit, *fact.numbers.values())]
    return (
        are_numbers((flag.value, flag.threshold, flag.rank, flag.rule, flag.chance_flags or 0))
        and are_numbers(fact.events for fact in flag.signals)
        and 0.0 <= (flag.chance or 0.0) <= 1.0
        and all(first_ms <= time_ms <= _LAST_MS for time_ms in times)
        and all(map(isfinite, rates))
    )


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A look at people: one record on `influence.audit`, written before they were shown."""

    look_id: str
    looked_at: int
    """Wall clock, epoch ms."""
    caller: str
    """The name of the token, `this machine`, or `command` and the user of the machine."""
    route: str
    """What was asked, such as /api/v1/users/{user_id}, or the command."""
    population: str | None = None
    """As asked; null where that was not said."""
    topic: str | None = None
    persons: list[str]
    """Who was shown: keyed hashes where the tracker has a person_key, else user ids. Empty: a stream was opened."""
    reason: str = ""
    """As the caller gave it, in the header X-Stream-App-Reason."""


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """A message about flags that could not be delivered to a sink; one record on `influence.undelivered`."""

    sink: str
    """Name of the sink in the alerts file."""
    rule: str
    """Name of the rule that routed the message to the sink."""
    message_id: str
    """The flag_id, or the id of a digest."""
    reason: str
    """The sink's last error, or why delivery was not attempted again."""
    attempts: int
    """Delivery attempts, as counted by the process that gave up."""
    decided_at: int
    """When the message was due, epoch ms."""
    given_up_at: int
    """When delivery was given up, epoch ms."""
    flags: list[Flag]
    """The flags of the message, the most important first."""
    title: str
    text: str
