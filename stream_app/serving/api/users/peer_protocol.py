"""The queries that workers send each other about their users, and the answers."""

import math
from collections.abc import Sequence
from functools import reduce
from operator import attrgetter
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from stream_app.core.messages import ROLES, Role
from stream_app.core.queries import CutRecord, RecruitedBy, ScopeFunnel, ScopeName, UserLookup, UserQuery
from stream_app.serving.api.responses import Place, Standing
from stream_app.serving.api.users.influencers import STANDINGS

FUNNELS = "/api/v1/peers/funnels"
LEADERS = "/api/v1/peers/leaders"
PLACES = "/api/v1/peers/places"
RECRUITS = "/api/v1/peers/recruits"
SCOPES = "/api/v1/peers/scopes"

MOST_QUERIES = 16
MOST_USERS = 500
"""Of one query: as many as a page has."""
MOST_PARTITIONS = 10_000
_MOST_LEADERS = 10_500
"""Users before the end of the deepest page."""

MOST_TEXT = 1024
"""Characters of an id or a topic: more than any has, also when letters have become several in small ones."""

_Text = Annotated[str, Meta(max_length=MOST_TEXT)]


class _PeerQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What every query has."""

    partitions: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(max_length=MOST_PARTITIONS)] | None = None
    """In which to look, null: in all. Who answers leaves out those that it does not have."""

    def is_about(self, partition: int) -> bool:
        """Whether it wants to be looked for there."""
        return self.partitions is None or partition in self.partitions


class LeaderQuery(_PeerQuery, frozen=True, kw_only=True):
    """Who leads a scope and role: asked of every worker, and put together from what they answer."""

    topic: _Text
    population: _Text
    role: Role
    standings: Annotated[list[Standing], Meta(max_length=len(STANDINGS))]
    search: _Text
    emerging_first: bool
    most: Annotated[int, Meta(ge=0, le=_MOST_LEADERS)]
    without_marked: bool = False

    @property
    def of_partition(self) -> UserQuery:
        """The same about one partition."""
        scope, codes = ScopeName(self.population, self.topic), [STANDINGS[name] for name in self.standings]
        filters = (self.search, self.without_marked)
        return UserQuery(scope, self.role.place, codes, *filters, emerging_first=self.emerging_first)


class Ranked(msgspec.Struct, frozen=True, array_like=True):
    """A user in a ranking."""

    user: str
    value: int
    is_emerging: bool
    eta_s: float | None
    partition: int

    @property
    def order(self) -> tuple[bool, float, int, int]:
        """What a ranking is sorted by; equals stay in their partition's order, so all workers answer the same."""
        return not self.is_emerging, self.eta_s if self.eta_s is not None else math.inf, -self.value, self.partition


class Leaders(msgspec.Struct, frozen=True):
    """The first users of a ranking in some partitions."""

    total: int
    first: list[Ranked]
    partitions: list[int]
    """Those that were looked through."""


def merged(query: LeaderQuery, parts: Sequence[Leaders]) -> Leaders:
    """The answers of several partitions or workers as one."""
    first = sorted((ranked for part in parts for ranked in part.first), key=attrgetter("order"))
    partitions = [partition for part in parts for partition in part.partitions]
    return Leaders(sum(part.total for part in parts), first[: query.most], partitions)


class PlaceQuery(_PeerQuery, frozen=True, kw_only=True):
    """Where some users stand: everywhere, or in one scope and role."""

    users: Annotated[list[_Text], Meta(max_length=MOST_USERS)]
    scope: tuple[_Text, _Text, Role] | None = None
    """(population, topic, role)."""
    with_flags: bool = True
    """Whether the flag behind each standing is wanted."""

    @property
    def of_partition(self) -> UserLookup:
        """The same about one partition."""
        if self.scope is None:
            return UserLookup(self.users)
        population, topic, role = self.scope
        return UserLookup(self.users, ScopeName(population, topic), (role,))


class FoundAt(msgspec.Struct, frozen=True):
    """A user's place, and the partition that the user is in."""

    partition: int
    user: str
    place: Place


class Places(msgspec.Struct, frozen=True):
    """Where users stand, as far as they are in some partitions."""

    found: list[FoundAt]
    partitions: list[int]
    """Those that were looked through."""


_Values = Annotated[list[Annotated[int, Meta(ge=0)]], Meta(max_length=MOST_USERS)]


class ScopeQuery(_PeerQuery, frozen=True, kw_only=True):
    """What the home of a scope knows of it, and the ranks of some values; `partitions` is that home."""

    topic: _Text
    population: _Text
    values: Annotated[list[_Values], Meta(max_length=len(ROLES))] = []
    """By role."""
    with_curve: bool = False

    @property
    def scope(self) -> ScopeName:
        """Which it is about."""
        return ScopeName(self.population, self.topic)


class ScopeFound(msgspec.Struct, frozen=True):
    """What a home knows of a scope."""

    record: CutRecord | None
    """None where it has no users."""
    ranks: list[list[int]]
    """Of the values that were asked about, by role."""
    partitions: list[int]
    """The home, if it is here and complete."""


class FunnelQuery(_PeerQuery, frozen=True, kw_only=True):
    """What was counted of the funnel of a scope: asked of every worker, and added up from what they answer."""

    topic: _Text
    population: _Text
    first_pane: int
    """Where the window begins: workers need not agree on it."""

    @property
    def scope(self) -> ScopeName:
        """Which it is about."""
        return ScopeName(self.population, self.topic)


class FunnelFound(msgspec.Struct, frozen=True):
    """What some partitions counted of a funnel."""

    funnel: ScopeFunnel | None
    """None without partitions."""
    partitions: list[int]
    """Those that were added up."""


def added(parts: Sequence[FunnelFound]) -> FunnelFound:
    """The answers of several partitions or workers as one."""
    funnels = [part.funnel for part in parts if part.funnel is not None]
    partitions = [partition for part in parts for partition in part.partitions]
    return FunnelFound(reduce(ScopeFunnel.plus, funnels) if funnels else None, partitions)


class RecruitQuery(_PeerQuery, frozen=True, kw_only=True):
    """Whom some users brought into a scope: asked of every worker, since who came may be anywhere."""

    users: Annotated[list[_Text], Meta(max_length=MOST_USERS)]
    topic: _Text
    population: _Text
    most: Annotated[int, Meta(ge=0, le=MOST_USERS)]
    """Of each user."""

    @property
    def scope(self) -> ScopeName:
        """Which it is about."""
        return ScopeName(self.population, self.topic)


class RecruitsFound(msgspec.Struct, frozen=True):
    """Whom users brought in, as far as they are in some partitions."""

    by_user: list[RecruitedBy]
    """In the order of the query."""
    partitions: list[int]
    """Those that were looked through."""


def joined(query: RecruitQuery, parts: Sequence[RecruitsFound]) -> RecruitsFound:
    """The answers of several partitions or workers as one."""
    by_user = []
    for place in range(len(query.users)):
        theirs = [part.by_user[place] for part in parts]
        newest = sorted((entry for one in theirs for entry in one.newest), key=lambda one: (-one.entered_ms, one.user))
        by_user.append(RecruitedBy(sum(one.total for one in theirs), newest[: query.most]))
    return RecruitsFound(by_user, [partition for part in parts for partition in part.partitions])


PeerQuery = TypeVar("PeerQuery", FunnelQuery, LeaderQuery, PlaceQuery, RecruitQuery, ScopeQuery)

FunnelQueryList = Annotated[list[FunnelQuery], Meta(max_length=MOST_QUERIES)]
LeaderQueries = Annotated[list[LeaderQuery], Meta(max_length=MOST_QUERIES)]
RecruitQueries = Annotated[list[RecruitQuery], Meta(max_length=MOST_QUERIES)]
ScopeQueries = Annotated[list[ScopeQuery], Meta(max_length=MOST_QUERIES)]
PlaceQueries = Annotated[list[PlaceQuery], Meta(max_length=MOST_QUERIES)]
