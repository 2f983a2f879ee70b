"""What workers ask each other about the users that each of them has, and what they answer."""

import math
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from stream_app.core.messages import Role
from stream_app.core.state.scopes import ScopeName
from stream_app.serving.api.responses import Place, Standing


class _Question(msgspec.Struct, frozen=True, kw_only=True):
    """What every question has."""

    partitions: list[int] | None = None
    """In which to look, null: in all. Who answers leaves out those that it does not have."""

    def is_about(self, partition: int) -> bool:
        """Whether it wants to be looked for there."""
        return self.partitions is None or partition in self.partitions


class Ranking(_Question, frozen=True, kw_only=True):
    """Who leads a scope and role: asked of every worker, and put together from what they answer."""

    topic: str
    population: str
    role: Role
    standings: list[Standing]
    search: str
    emerging_first: bool
    most: Annotated[int, Meta(ge=0)]

    @property
    def scope(self) -> ScopeName:
        """The scope."""
        return ScopeName(self.population, self.topic)


class Ranked(msgspec.Struct, frozen=True, array_like=True):
    """A user in a ranking."""

    user: str
    value: int
    is_emerging: bool
    eta_s: float | None
    partition: int

    @property
    def order(self) -> tuple[bool, float, int, int]:
        """What a ranking is sorted by; where that is equal the order is the partition's own: whoever is asked."""
        return not self.is_emerging, self.eta_s if self.eta_s is not None else math.inf, -self.value, self.partition


class Leaders(msgspec.Struct, frozen=True):
    """The first users of a ranking in some partitions."""

    total: int
    first: list[Ranked]
    partitions: list[int]
    """Those that were looked through."""


class Whereabouts(_Question, frozen=True, kw_only=True):
    """Where some users stand: everywhere, or in one scope and role."""

    users: list[str]
    scope: tuple[str, str, Role] | None = None
    """(population, topic, role)."""
    with_flags: bool = True
    """Whether the flag behind each standing is wanted."""

    @property
    def only(self) -> ScopeName | None:
        """The one scope that is asked about."""
        return None if self.scope is None else ScopeName(*self.scope[:2])

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that are asked about."""
        return tuple(Role) if self.scope is None else (self.scope[2],)


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


Asked = TypeVar("Asked", Ranking, Whereabouts)
