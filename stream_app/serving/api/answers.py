"""Answers about people and flags, put together from what this worker knows and what the others say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from stream_app.core.flags.standing import RULES
from stream_app.core.messages import ROLES, Role
from stream_app.core.queries import CutRecord, QueryableState, ScopeName
from stream_app.serving.api import params
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.responses import Curve, Cuts, Flags, History, Influencers, Place, User, Why
from stream_app.serving.api.scopes.overview import Overview
from stream_app.serving.api.scopes.topics import ScopeAnswers, next_after, scope_of
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.evidence import EvidenceReader
from stream_app.serving.api.users.peer_protocol import (
    MOST_TEXT,
    FoundAt,
    LeaderQuery,
    Leaders,
    PlaceQuery,
    Ranked,
    ScopeFound,
    ScopeQuery,
)
from stream_app.serving.api.users.peers import AllLeaders, AllPlaces, AllScopes, Peers
from stream_app.settings import Settings

_MOST_RANKED = 64
"""Of the places of a user: so many get the rank that is known at the home of the scope."""


class UnknownUserError(LookupError):
    """Nobody in the window is called so; the message says where that was looked for."""


class UnavailableError(RuntimeError):
    """There is no answer at the moment; the message says what is waited for."""


class CutRecords(NamedTuple):
    """The cuts and curves of scopes, from where they are at home."""

    known: Mapping[ScopeName, CutRecord]
    """Without those that nobody has talked about."""
    away: Mapping[ScopeName, int]
    """Those of which nothing is known now, and the partition whose worker would have to say it."""


class Answers:
    """Answers queries. Raises nothing but UnknownUserError and UnavailableError."""

    def __init__(
        self,
        settings: Settings,
        state: QueryableState,
        overview: Overview,
        peers: Peers,
        flags: FlagLog,
        evidences: EvidenceReader,
        budget: TimeBudget,
    ) -> None:
        """`budget` takes the time that answers need that are not of one moment."""
        self._budget = budget
        self._settings = settings
        self._state = state
        self._peers = peers
        self._flags = flags
        self._evidences = evidences
        self.overview = overview
        self.scopes = ScopeAnswers(state.scopes)

    async def influencers(self, asked: params.InfluencerParams) -> Influencers:
        """Users of a topic and role."""
        (found,) = await self.all_influencers([asked])
        return found

    async def records(self, asked: Iterable[params.ScopeParams]) -> CutRecords:
        """What is known where these scopes are at home, with curves."""
        scopes = dict.fromkeys(map(scope_of, asked))
        found = await self._peers.scopes(ScopeQuery(**scope._asdict(), with_curve=True) for scope in scopes)
        return CutRecords(
            {scope: known.record for scope, known in found.found.items() if known.record is not None},
            {scope: home for scope, home in found.away.items() if not self._state.scopes.has(scope)},
        )

    async def _record(self, asked: params.ScopeParams) -> CutRecord | None:
        """What is known of one scope: None where nobody has talked about it, or all workers follow it.

        Raises UnavailableError where nobody knows.
        """
        found, scope = await self.records([asked]), scope_of(asked)
        if scope in found.away:
            raise UnavailableError(
                f"the curve of this topic is put together in partition {found.away[scope]}, whose worker does not "
                "answer or has not heard from all partitions yet: ask again soon"
            )
        return found.known.get(scope)

    async def history(self, asked: params.ScopeParams) -> History:
        """How a cut moved. Raises UnavailableError."""
        return self.scopes.history(asked, await self._record(asked))

    async def curve(self, asked: params.ScopeParams) -> Curve:
        """The Lorenz curve, and the cut in it. Raises UnavailableError."""
        return self.scopes.curve(asked, await self._record(asked))

    async def cuts(self, asked: params.CutParams) -> Cuts:
        """The present cuts; of one topic also where it is followed by nobody. Raises UnavailableError then."""
        found = self.scopes.cuts(asked)
        if found.cuts or not (asked.topic and asked.population):
            return found
        roles = ROLES if asked.role is None else (asked.role,)
        one = [params.ScopeParams(topic=asked.topic, population=asked.population, role=role) for role in roles]
        record = await self._record(one[0])
        cuts = [cut for each in one if record and (cut := self.scopes.cut(each, record))]
        return Cuts(cuts=cuts, total=len(cuts), next=None)

    async def all_influencers(self, asked: Sequence[params.InfluencerParams]) -> list[Influencers]:
        """Users of several topics and roles, which costs little more than one."""
        rankings = await self._peers.leaders([_ranking(one) for one in asked])
        pages = [ranking.leaders.first[one.offset :] for one, ranking in zip(asked, rankings, strict=True)]
        places = await self._peers.places([_whereabouts(one, page) for one, page in zip(asked, pages, strict=True)])
        known = [await self._at_home(one.place for one in some.found) for some in places]
        with self._budget.running():
            return [self._influencers(*parts) for parts in zip(asked, rankings, pages, places, known, strict=True)]

    def nobody(self, asked: params.InfluencerParams) -> Influencers:
        """The same for a topic that nobody has talked about, for which no worker is asked."""
        return self._influencers(asked, AllLeaders(Leaders(0, [], []), []), [], AllPlaces([], []), AllScopes({}, {}))

    def _influencers(
        self,
        asked: params.InfluencerParams,
        ranking: AllLeaders,
        page: list[Ranked],
        there: AllPlaces,
        known: AllScopes,
    ) -> Influencers:
        erased = self._state.erasures.among(ranked.user for ranked in page)  # who has them may not know of it yet
        placed = _placed([found.place for found in there.found if found.user not in erased], known.found)
        places = {place.now.user_id: place.now for place in placed}
        leaders, silent = ranking
        if not (asked.search or asked.standing or silent):
            places |= {user: replace(places[user], rank=rank) for user, rank in _ranks(leaders.first) if user in places}
        scope = scope_of(asked)
        cut = self.scopes.cut(asked, record.record if (record := known.found.get(scope)) else None)
        away = {known.away[scope]} if scope in known.away and cut is None else set()
        return Influencers(
            topic=asked.topic,
            population=asked.population,
            role=asked.role,
            threshold=cut.threshold if cut else 0,
            pane_ms=self._settings.pane_ms,
            first_pane=self._state.scopes.window_start_ms,
            influencers=[places[ranked.user] for ranked in page if ranked.user in places],
            missing_partitions=sorted({*silent, *there.missing, *away}),
            total=leaders.total,
            next=next_after(asked.offset + len(page), leaders.total),
        )

    async def user(self, user: str) -> User:
        """A user, everywhere. Raises UnknownUserError, UnavailableError."""
        found = await self._found(PlaceQuery(users=[user]))
        places = sorted((place.place for place in found), key=lambda place: -place.now.value)
        places = _placed(places, (await self._at_home(places[:_MOST_RANKED])).found)
        places.sort(key=lambda place: -place.now.share)
        return User(
            user_id=user, pane_ms=self._settings.pane_ms, first_pane=self._state.scopes.window_start_ms, places=places
        )

    async def why(self, user: str, asked: params.ScopeParams) -> Why:
        """Why a user stands there. Raises UnknownUserError, UnavailableError."""
        scope = (asked.population, asked.topic, asked.role)
        found = await self._found(PlaceQuery(users=[user], scope=scope))
        known = (await self._at_home([found[0].place])).found
        (place,) = _placed([found[0].place], known)
        rules = {rule.number: rule.says for rule in RULES}
        return Why(
            user_id=user,
            pane_ms=self._settings.pane_ms,
            first_pane=self._state.scopes.window_start_ms,
            place=place,
            rule=rules.get(place.flag.rule, "") if place.flag else "",
            cut=self.scopes.cut(asked, there.record if (there := known.get(scope_of(asked))) else None),
            evidence=await self._evidences.of(user, found[0].partition, scope_of(asked), self._window_ms()),
        )

    def flags(self, asked: params.FlagParams) -> Flags:
        """Flags, the newest first. Raises UnavailableError."""
        since_ms = -1 if asked.since is None else asked.since
        if not self._flags.is_complete.is_set():
            raise UnavailableError("the last flags are being read from Kafka: ask again soon")
        newest = self._flags.newest(asked, asked.limit, since_ms)
        return Flags(flags=newest, position=self._flags.position, since=self._flags.since(asked))

    async def _at_home(self, places: Iterable[Place]) -> AllScopes:
        """What is known where the scopes of places are at home, with the ranks of these values."""
        asked: dict[ScopeName, dict[Role, list[int]]] = {}
        for place in places:
            scope = ScopeName(place.population, place.topic)
            asked.setdefault(scope, {role: [] for role in ROLES})[place.role].append(place.now.value)
        return await self._peers.scopes(
            ScopeQuery(**scope._asdict(), mavens=values[Role.MAVEN], connectors=values[Role.CONNECTOR])
            for scope, values in asked.items()
        )

    async def _found(self, asked: PlaceQuery) -> list[FoundAt]:
        """Where the one user asked about stands, in one place at least."""
        if max(map(len, asked.users)) > MOST_TEXT:
            raise UnknownUserError("nobody has an id of so many characters")
        ((found, missing),) = await self._peers.places([asked])
        if found and not self._state.erasures.among(asked.users):
            return found
        if missing and not found:
            silent = ", ".join(map(str, missing))
            raise UnavailableError(
                f"the worker of partitions {silent} does not answer, so that nobody knows: ask again soon"
            )
        raise UnknownUserError("nobody of that id has a value there in the window; ids differ by case")

    def _window_ms(self) -> tuple[int, int]:
        start = self._state.scopes.window_start_ms
        return start, start + self._settings.panes * self._settings.pane_ms


def _placed(places: Sequence[Place], known: Mapping[ScopeName, ScopeFound]) -> list[Place]:
    """The places as their scopes know them at home: elsewhere θ, share and rank are unknown, or estimates."""
    ranks = {
        (scope, role): dict(zip(_values(places, scope, role), found.ranks[ROLES.index(role)], strict=False))
        for scope, found in known.items()
        for role in ROLES
    }
    return [_as_at_home(place, known, ranks) for place in places]


def _values(places: Iterable[Place], scope: ScopeName, role: Role) -> list[int]:
    return [place.now.value for place in places if (place.population, place.topic) == scope and place.role is role]


def _as_at_home(
    place: Place, known: Mapping[ScopeName, ScopeFound], ranks: Mapping[tuple[ScopeName, Role], Mapping[int, int]]
) -> Place:
    scope, role = ScopeName(place.population, place.topic), ROLES.index(place.role)
    record = known[scope].record if scope in known else None
    if record is None:
        return place
    rank = ranks[scope, place.role].get(place.now.value, place.now.rank)
    share = min(place.now.value / max(record.totals[role], 1), 1.0)
    is_borderline = 0 < record.threshold_low[role] <= place.now.value <= record.threshold_high[role]
    now = replace(place.now, rank=rank, share=share, borderline=is_borderline)
    return replace(place, threshold=record.thresholds[role], now=now)


def _ranking(asked: params.InfluencerParams) -> LeaderQuery:
    return LeaderQuery(
        topic=asked.topic,
        population=asked.population,
        role=asked.role,
        standings=list(asked.standing),
        search=asked.search,
        emerging_first=asked.order == "emerging",
        most=asked.offset + asked.limit,
    )


def _whereabouts(asked: params.InfluencerParams, page: Sequence[Ranked]) -> PlaceQuery:
    return PlaceQuery(
        users=[ranked.user for ranked in page],
        scope=(asked.population, asked.topic, asked.role),
        partitions=sorted({ranked.partition for ranked in page}),
        with_flags=False,
    )


def _ranks(first: Sequence[Ranked]) -> Iterator[tuple[str, int]]:
    """The exact ranks of those before whom nobody is missing; a curve knows ranks to the width of a bin."""
    others = [ranked.value for ranked in first if not ranked.is_emerging]
    values = np.sort([ranked.value for ranked in first])
    for ranked in first:
        if others and ranked.value >= others[-1]:
            yield ranked.user, len(values) - int(np.searchsorted(values, ranked.value, "right")) + 1
