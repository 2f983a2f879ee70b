"""The places of users with what only the homes of their scopes know: θ, share and rank."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from stream_app.core.messages import ROLES, Role
from stream_app.core.queries import ScopeName, of_role
from stream_app.serving.api.responses import Place
from stream_app.serving.api.users.peer_protocol import ScopeFound


def placed(places: Sequence[Place], known: Mapping[ScopeName, ScopeFound]) -> list[Place]:
    """The places as their scopes know them at home: elsewhere θ, share and rank are unknown, or estimates."""
    ranks = {
        (scope, role): dict(zip(_values(places, scope, role), ranks, strict=False))
        for scope, found in known.items()
        for role, ranks in zip(ROLES, found.ranks, strict=False)
    }
    return [_as_at_home(place, known, ranks) for place in places]


def _values(places: Iterable[Place], scope: ScopeName, role: Role) -> list[int]:
    return [place.now.value for place in places if (place.population, place.topic) == scope and place.role is role]


def _as_at_home(
    place: Place, known: Mapping[ScopeName, ScopeFound], ranks: Mapping[tuple[ScopeName, Role], Mapping[int, int]]
) -> Place:
    scope, role = ScopeName(place.population, place.topic), place.role.place
    record = known[scope].record if scope in known else None
    if record is None:
        return place
    rank = ranks.get((scope, place.role), {}).get(place.now.value, place.now.rank)
    total, threshold, low, high = (
        of_role(numbers, role)
        for numbers in (record.totals, record.thresholds, record.threshold_low, record.threshold_high)
    )
    share = min(place.now.value / max(total, 1), 1.0)
    is_borderline = 0 < low <= place.now.value <= high
    now = replace(place.now, rank=rank, share=share, borderline=is_borderline)
    return replace(place, threshold=threshold, now=now)
