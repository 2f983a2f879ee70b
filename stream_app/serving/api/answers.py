"""Answers about people and flags, put together from what this worker knows and what the others say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from stream_app.core.flags.standing import RULES
from stream_app.core.messages import ROLES
from stream_app.core.queries import CutRecord, QueryableState, ScopeName
from stream_app.serving.api import params
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.funnel.funnel_answers import FunnelAnswers
from stream_app.serving.api.funnel.funnel_response import TopicFunnel
from stream_app.serving.api.funnel.local_recruits import LocalRecruits
from stream_app.serving.api.funnel.recruit_answers import RecruitAnswers
from stream_app.serving.api.funnel.recruits_response import Recruits
from stream_app.serving.api.responses import Answer, Curve, Cuts, Flags, History, Influencers, Place, User
from stream_app.serving.api.scopes.overview import Overview
from stream_app.serving.api.scopes.topics import ScopeAnswers, next_after, scope_of
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.unanswered import UNKNOWN, UnavailableError, UnknownUserError
from stream_app.serving.api.users.evidence import EvidenceReader
from stream_app.serving.api.users.naming import Naming
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
from stream_app.serving.api.users.places import placed
from stream_app.serving.api.users.why_response import Why
from stream_app.settings import Settings

_MOST_RANKED = 64
"""Of the places of a user: so many get the rank that is known at the home of the scope."""


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
        funnels: FunnelAnswers,
        budget: TimeBudget,
    ) -> None:
        """`budget` takes the time that answers need that are not of one moment."""
        self._budget = budget
        self._settings = settings
        self._state = state
        self._naming = Naming(state.scopes)
        self._peers = peers
        self._flags = flags
        self._evidences = evidences
        self.funnels = funnels
        self._recruits = RecruitAnswers(state, LocalRecruits(state, budget), peers)
        self.overview = overview
        self.scopes = ScopeAnswers(state.scopes)

    async def influencers(self, asked: params.InfluencerParams) -> Influencers:
        """Users of a topic and role."""
        (found,) = await self.all_influencers([asked])
        return found

    async def records(self, asked: Iterable[params.FunnelParams]) -> CutRecords:
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

    async def funnel(self, asked: params.FunnelParams) -> TopicFunnel:
        """Who comes to a topic, who brings them and who comes back."""
        records = await self.records([asked])
        (found,) = await self.funnels.all([asked], records.known, records.away)
        return found

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
        """Users of several topics and roles, which costs little more than one: those who may be named."""
        if not self._naming.disclosure.names_anyone:
            return list(map(self.nobody, asked))
        asked = list(map(self._naming.narrowed, asked))
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
        found_at: AllPlaces,
        known: AllScopes,
    ) -> Influencers:
        erased = self._state.erasures.among(ranked.user for ranked in page)  # who has them may not know of it yet
        seen = placed([found.place for found in found_at.found if found.user not in erased], known.found)
        places = {place.now.user_id: place.now for place in seen}
        leaders, silent = ranking
        if not (asked.search or asked.standing or asked.marked == "without" or silent):
            places |= {user: replace(places[user], rank=rank) for user, rank in _ranks(leaders.first) if user in places}
        scope = scope_of(asked)
        record = there.record if (there := known.found.get(scope)) else None
        cut = self.scopes.cut(asked, record)
        away = {known.away[scope]} if scope in known.away and cut is None else set()
        found = [places[ranked.user] for ranked in page if ranked.user in places]
        named = [one for one in found if self._naming.names(one, scope, asked.role, record)]
        reached = asked.offset + len(page)
        if len(named) < len(found):  # how many pages there are would say how many users
            next_page = reached if named and named[-1] is found[-1] else None
        else:
            next_page = next_after(reached, leaders.total)
        return Influencers(
            topic=asked.topic,
            population=asked.population,
            role=asked.role,
            threshold=cut.threshold if cut else 0,
            pane_ms=self._settings.pane_ms,
            first_pane=self._state.scopes.window_start_ms,
            influencers=named,
            missing_partitions=sorted({*silent, *found_at.missing, *away}),
            total=leaders.total,
            next=next_page,
        )

    async def user(self, user: str) -> User:
        """A user, everywhere. Raises UnknownUserError, UnavailableError."""
        found = sorted(await self._found(PlaceQuery(users=[user])), key=lambda one: -one.place.now.value)
        known = (await self._at_home(one.place for one in found[:_MOST_RANKED])).found
        places = placed([one.place for one in self._named(found, known)], known)
        places.sort(key=lambda place: -place.now.share)
        return User(
            user_id=user, pane_ms=self._settings.pane_ms, first_pane=self._state.scopes.window_start_ms, places=places
        )

    async def recruits(self, user: str, asked: params.RecruitsOfParams) -> Recruits:
        """Whom a user of a scope brought in. Raises UnknownUserError, UnavailableError."""
        places = (await self.user(user)).places
        if not any((place.population, place.topic) == scope_of(asked) for place in places):
            raise UnknownUserError(UNKNOWN)
        return await self._recruits.of(user, asked)

    async def why(self, user: str, asked: params.ScopeParams) -> Why:
        """Why a user stands there. Raises UnknownUserError, UnavailableError."""
        scope = (asked.population, asked.topic, asked.role)
        found = await self._found(PlaceQuery(users=[user], scope=scope))
        known = (await self._at_home([found[0].place])).found
        found = self._named(found, known)
        (place,) = placed([found[0].place], known)
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

    def disclosed(self, answer: Answer) -> Answer:
        """What may be said of an answer. Raises UnruledError."""
        said = self._naming.disclosure.of(answer)
        assert said is not None  # noqa: S101 - no answer is about the users of one scope only
        return said

    def flags(self, asked: params.FlagParams) -> Flags:
        """Flags, the newest first. Raises UnavailableError."""
        since_ms = -1 if asked.since is None else asked.since
        if not self._flags.is_complete.is_set():
            raise UnavailableError("the last flags are being read from Kafka: ask again soon")
        newest = self._flags.newest(asked, asked.limit, since_ms)
        return Flags(flags=newest, position=self._flags.position, since=self._flags.since(asked))

    async def _at_home(self, places: Iterable[Place]) -> AllScopes:
        """What is known where the scopes of places are at home, with the ranks of these values."""
        asked: dict[ScopeName, list[list[int]]] = {}
        for place in places:
            scope = ScopeName(place.population, place.topic)
            asked.setdefault(scope, [[] for _ in ROLES])[place.role.place].append(place.now.value)
        return await self._peers.scopes(ScopeQuery(**scope._asdict(), values=values) for scope, values in asked.items())

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
        raise UnknownUserError(UNKNOWN)

    def _named(self, found: list[FoundAt], known: Mapping[ScopeName, ScopeFound]) -> list[FoundAt]:
        """The places in which a user may be named. Raises UnknownUserError where there is none."""
        if not (named := self._naming.named(found, known)):
            raise UnknownUserError(UNKNOWN)
        return named

    def _window_ms(self) -> tuple[int, int]:
        start = self._state.scopes.window_start_ms
        return start, start + self._settings.panes * self._settings.pane_ms


def _ranking(asked: params.InfluencerParams) -> LeaderQuery:
    return LeaderQuery(
        topic=asked.topic,
        population=asked.population,
        role=asked.role,
        standings=list(asked.standing),
        search=asked.search,
        emerging_first=asked.order == "emerging",
        most=asked.offset + asked.limit,
        without_marked=asked.marked == "without",
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
