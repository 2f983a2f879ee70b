"""Answers about people and flags, put together from what this worker knows and what the others say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from stream_app.core.flags.standing import RULES
from stream_app.core.queries import CutRecord, QueryableState, ScopeName, ranks_in
from stream_app.serving.api import params
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.responses import Curve, Flags, History, Influencers, Place, User, Why
from stream_app.serving.api.scopes.overview import Overview
from stream_app.serving.api.scopes.topics import ScopeAnswers, next_after, scope_of
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.evidence import EvidenceReader
from stream_app.serving.api.users.peer_protocol import MOST_TEXT, FoundAt, LeaderQuery, Leaders, PlaceQuery, Ranked
from stream_app.serving.api.users.peers import AllLeaders, AllPlaces, Peers
from stream_app.settings import Settings

Records = Mapping[ScopeName, CutRecord]
"""What is known of scopes where they are at home."""
_MOST_RANKED = 64
"""Of the places of a user: so many get the rank that is known at the home of the scope."""


class UnknownUserError(LookupError):
    """Nobody in the window is called so; the message says where that was looked for."""


class UnavailableError(RuntimeError):
    """There is no answer at the moment; the message says what is waited for."""


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

    async def records(self, asked: Iterable[params.ScopeParams]) -> Records:
        """What is known where these scopes are at home; without those that nobody has talked about."""
        return await self._peers.scopes(dict.fromkeys(map(scope_of, asked)))

    async def history(self, asked: params.ScopeParams) -> History:
        """How a cut moved."""
        return self.scopes.history(asked, (await self.records([asked])).get(scope_of(asked)))

    async def curve(self, asked: params.ScopeParams) -> Curve:
        """The Lorenz curve, and the cut in it."""
        return self.scopes.curve(asked, (await self.records([asked])).get(scope_of(asked)))

    async def all_influencers(
        self, asked: Sequence[params.InfluencerParams], records: Records | None = None
    ) -> list[Influencers]:
        """Users of several topics and roles, which costs little more than one; `records`: of their scopes, if known."""
        rankings = await self._peers.leaders([_ranking(one) for one in asked])
        pages = [ranking.leaders.first[one.offset :] for one, ranking in zip(asked, rankings, strict=True)]
        places = await self._peers.places([_whereabouts(one, page) for one, page in zip(asked, pages, strict=True)])
        known = await self.records(asked) if records is None else records
        with self._budget.running():
            return [self._influencers(*parts, known) for parts in zip(asked, rankings, pages, places, strict=True)]

    def nobody(self, asked: params.InfluencerParams) -> Influencers:
        """The same for a topic that nobody has talked about, for which no worker is asked."""
        return self._influencers(asked, AllLeaders(Leaders(0, [], []), []), [], AllPlaces([], []), {})

    def _influencers(
        self,
        asked: params.InfluencerParams,
        ranking: AllLeaders,
        page: list[Ranked],
        there: AllPlaces,
        records: Records,
    ) -> Influencers:
        erased = self._state.erasures.among(ranked.user for ranked in page)  # who has them may not know of it yet
        places = {found.user: found.place.now for found in there.found if found.user not in erased}
        leaders, silent = ranking
        record = records.get(scope_of(asked))
        if record is not None:
            ranks = ranks_in(record, asked.role, (place.value for place in places.values()))
            places = {user: replace(places[user], rank=rank) for user, rank in zip(places, ranks, strict=True)}
        if not (asked.search or asked.standing or silent):
            places |= {user: replace(places[user], rank=rank) for user, rank in _ranks(leaders.first) if user in places}
        cut = self.scopes.cut(asked, record)
        return Influencers(
            topic=asked.topic,
            population=asked.population,
            role=asked.role,
            threshold=cut.threshold if cut else 0,
            pane_ms=self._settings.pane_ms,
            first_pane=self._state.scopes.window_start_ms,
            influencers=[places[ranked.user] for ranked in page if ranked.user in places],
            missing_partitions=sorted({*silent, *there.missing}),
            total=leaders.total,
            next=next_after(asked.offset + len(page), leaders.total),
        )

    async def user(self, user: str) -> User:
        """A user, everywhere. Raises UnknownUserError, UnavailableError."""
        found = await self._found(PlaceQuery(users=[user]))
        places = sorted((place.place for place in found), key=lambda place: -place.now.share)
        records = await self._peers.scopes(_scopes_of(places[:_MOST_RANKED]))
        places = [_ranked(place, records) for place in places]
        return User(
            user_id=user, pane_ms=self._settings.pane_ms, first_pane=self._state.scopes.window_start_ms, places=places
        )

    async def why(self, user: str, asked: params.ScopeParams) -> Why:
        """Why a user stands there. Raises UnknownUserError, UnavailableError."""
        scope = (asked.population, asked.topic, asked.role)
        found = await self._found(PlaceQuery(users=[user], scope=scope))
        records = await self.records([asked])
        place = _ranked(found[0].place, records)
        rules = {rule.number: rule.says for rule in RULES}
        return Why(
            user_id=user,
            pane_ms=self._settings.pane_ms,
            first_pane=self._state.scopes.window_start_ms,
            place=place,
            rule=rules.get(place.flag.rule, "") if place.flag else "",
            cut=self.scopes.cut(asked, records.get(scope_of(asked))),
            evidence=await self._evidences.of(user, found[0].partition, scope_of(asked), self._window_ms()),
        )

    def flags(self, asked: params.FlagParams) -> Flags:
        """Flags, the newest first. Raises UnavailableError."""
        since_ms = -1 if asked.since is None else asked.since
        if not self._flags.is_complete.is_set():
            raise UnavailableError("the last flags are being read from Kafka: ask again soon")
        newest = self._flags.newest(asked, asked.limit, since_ms)
        return Flags(flags=newest, position=self._flags.position, since=self._flags.since_ms)

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


def _scopes_of(places: Iterable[Place]) -> dict[ScopeName, None]:
    return dict.fromkeys(ScopeName(place.population, place.topic) for place in places)


def _ranked(place: Place, records: Records) -> Place:
    """The place with the rank that its value has at home, which is exact; elsewhere it may be an estimate."""
    record = records.get(ScopeName(place.population, place.topic))
    if record is None:
        return place
    (rank,) = ranks_in(record, place.role, [place.now.value])
    return replace(place, now=replace(place.now, rank=rank))


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
