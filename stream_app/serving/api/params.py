"""The parameters of every query of the HTTP API, with their bounds and defaults."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stream_app.core.messages import ALL_TOPICS, DEFAULT_POPULATION, FlagType, Role
from stream_app.serving.api.responses import Standing

MOST = 500
DEEPEST = 10_000

Name = Annotated[str, Meta(max_length=256)]
UserId = Annotated[str, Meta(min_length=1, max_length=256, description="the whole user id; ids differ by case")]
Limit = Annotated[int, Meta(ge=1, le=MOST, description="entries on a page")]
Offset = Annotated[int, Meta(ge=0, le=DEEPEST, description="entries before this page")]
Format = Annotated[Literal["json", "csv"], Meta(description="csv: a table with a line of names, as a file")]


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all parameters."""


class NoParams(Params, frozen=True, kw_only=True):
    """None at all."""


class TopicParams(Params, frozen=True, kw_only=True):
    """Which topics."""

    population: Annotated[Name, Meta(description="empty: of all populations")] = ""
    search: Annotated[Name, Meta(description="a part of the topic, in any case")] = ""
    limit: Limit = 50
    offset: Offset = 0
    format: Format = "json"


class CutParams(Params, frozen=True, kw_only=True):
    """Which cuts."""

    topic: Annotated[Name, Meta(description="empty: of all topics")] = ""
    population: Annotated[Name, Meta(description="empty: of all populations")] = ""
    role: Annotated[Role, Meta(description="absent: all")] | None = None
    limit: Limit = 50
    offset: Offset = 0
    format: Format = "json"


class FunnelParams(Params, frozen=True, kw_only=True):
    """One topic of one population."""

    topic: Annotated[Name, Meta(description="`*`: all topics together")] = ALL_TOPICS
    population: Name = DEFAULT_POPULATION


class ScopeParams(FunnelParams, frozen=True, kw_only=True):
    """The same in one role."""

    role: Role = Role.CONNECTOR


class UserParams(Params, frozen=True, kw_only=True):
    """Which user."""

    id: UserId


class WhyParams(ScopeParams, frozen=True, kw_only=True):
    """Which user, and where."""

    id: UserId = "why"


class RecruitsOfParams(FunnelParams, frozen=True, kw_only=True):
    """Where somebody brought others in, and how many of them are listed."""

    limit: Limit = 50


class RecruitParams(RecruitsOfParams, frozen=True, kw_only=True):
    """Which user, and where."""

    id: UserId = "recruits"


class HistoryParams(ScopeParams, frozen=True, kw_only=True):
    """Whose history."""

    format: Format = "json"


class InfluencerParams(ScopeParams, frozen=True, kw_only=True):
    """Which users of a topic and role."""

    standing: Annotated[tuple[Standing, ...], Meta(description="may be given several times; absent: all")] = ()
    search: Annotated[Name, Meta(description="a part of the user id, in any case")] = ""
    order: Annotated[
        Literal["rank", "emerging"], Meta(description="emerging: before the others those who are, the soonest first")
    ] = "rank"
    marked: Annotated[
        Literal["any", "without"], Meta(description="without: leave out users who have facts in `signals`")
    ] = "any"
    limit: Limit = 50
    offset: Offset = 0
    format: Format = "json"


class FlagFilter(Params, frozen=True, kw_only=True):
    """Which flags; an absent field: any."""

    type: FlagType | None = None
    role: Role | None = None
    topic: Name | None = None
    population: Name | None = None
    user: Annotated[Name, Meta(description="the whole user id")] | None = None


class FlagParams(FlagFilter, frozen=True, kw_only=True):
    """Which flags."""

    since: Annotated[int, Meta(ge=0, le=2**53, description="detected later than this, epoch ms")] | None = None
    limit: Limit = 100
    format: Format = "json"


class FlagStreamParams(FlagFilter, frozen=True, kw_only=True):
    """Which flags to send as they are raised."""
