"""Who is named in answers: which users are asked for, and which of those that were found may be seen."""

from collections.abc import Mapping
from typing import get_args

from msgspec.structs import replace

from stream_app.core.messages import Role
from stream_app.core.privacy.min_group import Disclosure
from stream_app.core.queries import CutRecord, ScopeName, ScopeQueries
from stream_app.serving.api import params
from stream_app.serving.api.responses import Influencer, Place, Standing
from stream_app.serving.api.users.peer_protocol import FoundAt, ScopeFound

_FLAGGED = tuple(standing for standing in get_args(Standing) if standing != "none")


class Naming:
    """Decides by the sizes of scopes, as their homes know them, or else as all workers do."""

    def __init__(self, scopes: ScopeQueries) -> None:
        self._scopes = scopes

    @property
    def disclosure(self) -> Disclosure:
        """The rule."""
        return self._scopes.disclosure

    def narrowed(self, asked: params.InfluencerParams) -> params.InfluencerParams:
        """The same question about those who can be named at all."""
        if self.disclosure.is_limited:
            asked = replace(asked, marked="any")  # who is missing then would be known to be marked
        is_about_all = self.disclosure.individuals == "flagged" and not asked.standing
        return replace(asked, standing=_FLAGGED) if is_about_all else asked

    def names(self, one: Influencer, scope: ScopeName, role: Role, record: CutRecord | None) -> bool:
        """Whether a user may be named in a scope and role."""
        if not self.disclosure.is_limited:
            return True
        size = self._scopes.size(scope, role, record)
        return bool(self.disclosure.may_name(one.standing != "none", one.value, size))

    def named(self, found: list[FoundAt], known: Mapping[ScopeName, ScopeFound]) -> list[FoundAt]:
        """The places in which a user may be named."""
        return [one for one in found if self._names_at(one.place, known)]

    def _names_at(self, place: Place, known: Mapping[ScopeName, ScopeFound]) -> bool:
        scope = ScopeName(place.population, place.topic)
        record = known[scope].record if scope in known else None
        return self.names(place.now, scope, place.role, record)
