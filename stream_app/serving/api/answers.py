"""Every answer of the API, put together from what this worker knows and what the others say."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from stream_app import __version__
from stream_app.core.lorenz import lorenz
from stream_app.core.messages import ALL_TOPICS, ROLES, Cut, Role
from stream_app.core.past import Past
from stream_app.core.scopes import ScopeName
from stream_app.core.standing import RULES
from stream_app.core.whole import Ints
from stream_app.serving.api import queries
from stream_app.serving.api.evidence import Evidences
from stream_app.serving.api.flag_log import FlagLog
from stream_app.serving.api.messages import (
    About,
    Curve,
    Cuts,
    Flags,
    Health,
    History,
    Influencers,
    Moment,
    Topic,
    Topics,
    User,
    Why,
)
from stream_app.serving.api.own import Found, Ranked, Ranking, Whereabouts
from stream_app.serving.api.peers import Peers
from stream_app.serving.api.state import State
from stream_app.serving.api.throughput import Throughput
from stream_app.settings import Settings

_HOUR_MS = 3_600_000


class UnknownUserError(LookupError):
    """Nobody in the window is called so; the message says where that was looked for."""


class NotNowError(RuntimeError):
    """There is no answer at the moment; the message says what is waited for."""


class _Scopes(NamedTuple):
    """Scopes with users, those of the most users first."""

    numbers: Ints
    names: list[ScopeName]


class Answers:
    """Answers questions. Raises nothing but UnknownUserError and NotNowError."""

    def __init__(
        self, settings: Settings, state: State, peers: Peers, flags: FlagLog, evidences: Evidences, rates: Throughput
    ) -> None:
        self._settings = settings
        self._state = state
        self._peers = peers
        self._flags = flags
        self._evidences = evidences
        self._rates = rates

    def about(self) -> About:
        """What is counted and by which rules."""
        chosen = self._settings
        return About(
            version=__version__,
            settings_version=chosen.version,
            share=chosen.share,
            window_s=chosen.window_s,
            pane_s=chosen.pane_s,
            short_s=chosen.short_s,
            min_users=chosen.min_users,
            min_posts=chosen.min_posts,
            min_impressions=chosen.min_impressions,
            leave_ratio=chosen.leave_ratio,
            diffuse_fraction=chosen.diffuse_fraction,
            emerging_z=chosen.emerging_z,
            emerging_horizon_s=chosen.emerging_horizon_s,
            population_sizes=chosen.population_sizes,
            rules={str(rule.number): rule.says for rule in RULES},
        )

    def health(self) -> Health:
        """The pipeline in one line."""
        state, statuses = self._state, self._state.statuses.values()
        sources = [source for status in statuses for source in status.sources.values()]
        newest_ms = state.newest_ms if statuses else -1
        now_ms = time.time() * 1000
        return Health(
            live=state.live(),
            ready=state.ready(),
            events_per_s=round(self._rates.per_s, 1),
            lag_records=sum(status.unread for status in statuses),
            delay_s=round((now_ms - newest_ms) / 1000, 1) if newest_ms >= 0 else None,
            event_time=newest_ms if newest_ms >= 0 else None,
            applied=sum(source.applied for source in sources),
            duplicate=sum(source.duplicate for source in sources),
            late=sum(source.late for source in sources),
            rejected=sum(source.rejected for source in sources),
            users=sum(status.users for status in statuses),
            partitions=len(statuses),
            partitions_expected=self._settings.partitions,
            workers=len({status.http for status in statuses}),
            flags_per_hour=self._flags.detected_since(int(now_ms) - _HOUR_MS),
            redis_up=state.redis_up(),
        )

    def topics(self, asked: queries.OfTopics) -> Topics:
        """Topics, `*` first, then those with the most users."""
        scopes = self._scopes(asked.population, search=asked.search)
        order = sorted(range(len(scopes.names)), key=lambda place: scopes.names[place].topic != ALL_TOPICS)
        page = order[asked.offset : asked.offset + asked.limit]
        cuts = {(cut.topic, cut.population, cut.role): cut for cut in self._state.cuts(scopes.numbers[page])}
        return Topics(
            topics=[_topic(scopes.names[place], cuts) for place in page],
            populations=self._populations(),
            total=len(order),
            next=_next(asked.offset + len(page), len(order)),
        )

    def cuts(self, asked: queries.OfCuts) -> Cuts:
        """The present cuts."""
        scopes = self._scopes(asked.population, topic=asked.topic)
        roles = ROLES if asked.role is None else (asked.role,)
        users = self._state.whole.cuts(scopes.numbers).users[[ROLES.index(role) for role in roles]]
        there = np.argwhere(users.T > 0)
        page = there[asked.offset : asked.offset + asked.limit]
        known = self._state.cuts(scopes.numbers[np.unique(page[:, 0])])
        cuts = {(cut.population, cut.topic, cut.role): cut for cut in known}
        keys = [(*scopes.names[place], roles[role]) for place, role in page.tolist()]
        return Cuts(
            cuts=[cuts[key] for key in keys], total=len(there), next=_next(asked.offset + len(keys), len(there))
        )

    def history(self, asked: queries.OfScope) -> History:
        """How a cut moved."""
        pane_ms = self._settings.pane_ms
        first = self._state.window_start_ms // pane_ms
        past = self._state.past.of(_scope(asked), asked.role, first)
        moments = {(pane + 1) * pane_ms: _moment((pane + 1) * pane_ms, cut) for pane, cut in past}
        if now := self._cut(asked):
            moments[now.window_end] = _moment(now.window_end, now)
        return History(
            topic=asked.topic,
            population=asked.population,
            role=asked.role,
            pane_ms=pane_ms,
            moments=[moments[end] for end in sorted(moments)],
        )

    def curve(self, asked: queries.OfScope) -> Curve:
        """The Lorenz curve, and the cut in it."""
        cells = self._state.whole.cells(_scope(asked), ROLES.index(asked.role))
        return Curve(
            topic=asked.topic,
            population=asked.population,
            role=asked.role,
            cut=self._cut(asked),
            points=lorenz(cells),
        )

    async def influencers(self, asked: queries.OfInfluencers) -> Influencers:
        """Users of a topic and role."""
        ranking = Ranking(
            topic=asked.topic,
            population=asked.population,
            role=asked.role,
            standings=list(asked.standing),
            search=asked.search,
            emerging_first=asked.order == "emerging",
            most=asked.offset + asked.limit,
        )
        found, silent = await self._peers.leaders(ranking)
        page = found.first[asked.offset :]
        users = [ranked.user for ranked in page]
        partitions = sorted({ranked.partition for ranked in page})
        scope = (asked.population, asked.topic, asked.role)
        asking = Whereabouts(users=users, scope=scope, partitions=partitions)
        there, left = await self._peers.places(asking) if page else ([], [])
        places = {place.user: place.place.now for place in there}
        if not (asked.search or asked.standing or silent):
            places |= {user: replace(places[user], rank=rank) for user, rank in _ranks(found.first) if user in places}
        cut = self._cut(asked)
        return Influencers(
            topic=asked.topic,
            population=asked.population,
            role=asked.role,
            threshold=cut.threshold if cut else 0,
            pane_ms=self._settings.pane_ms,
            first_pane=self._state.window_start_ms,
            influencers=[places[user] for user in users if user in places],
            missing_partitions=sorted({*silent, *left}),
            total=found.total,
            next=_next(asked.offset + len(users), found.total),
        )

    async def user(self, user: str) -> User:
        """A user, everywhere. Raises UnknownUserError, NotNowError."""
        found = await self._found(Whereabouts(users=[user]))
        places = sorted((place.place for place in found), key=lambda place: -place.now.share)
        return User(user_id=user, pane_ms=self._settings.pane_ms, first_pane=self._state.window_start_ms, places=places)

    async def why(self, user: str, asked: queries.OfScope) -> Why:
        """Why a user stands there. Raises UnknownUserError, NotNowError."""
        scope = (asked.population, asked.topic, asked.role)
        found = await self._found(Whereabouts(users=[user], scope=scope))
        place = found[0].place
        rules = {rule.number: rule.says for rule in RULES}
        return Why(
            user_id=user,
            pane_ms=self._settings.pane_ms,
            first_pane=self._state.window_start_ms,
            place=place,
            rule=rules.get(place.flag.rule, "") if place.flag else "",
            cut=self._cut(asked),
            evidence=await self._evidences.of(user, found[0].partition, _scope(asked), self._window_ms()),
        )

    def flags(self, asked: queries.OfFlags) -> Flags:
        """Flags, the newest first. Raises NotNowError."""
        since_ms = -1 if asked.since is None else asked.since
        if not self._flags.is_complete.is_set():
            raise NotNowError("the last flags are being read from Kafka: ask again soon")
        newest = self._flags.newest(asked, asked.limit, since_ms)
        return Flags(flags=newest, position=self._flags.position, since=self._flags.since_ms)

    async def _found(self, asked: Whereabouts) -> list[Found]:
        """Where the one user asked about stands, in one place at least."""
        found, missing = await self._peers.places(asked)
        if found and not self._state.erased(asked.users):
            return found
        if missing and not found:
            silent = ", ".join(map(str, missing))
            raise NotNowError(
                f"the worker of partitions {silent} does not answer, so that nobody knows: ask again soon"
            )
        raise UnknownUserError("nobody of that id has a value there in the window; ids are told apart by case")

    def _window_ms(self) -> tuple[int, int]:
        start = self._state.window_start_ms
        return start, start + self._settings.panes * self._settings.pane_ms

    def _cut(self, asked: queries.OfScope) -> Cut | None:
        number = self._state.whole.find(_scope(asked))
        if number is None:
            return None
        return next((cut for cut in self._state.cuts(np.array([number])) if cut.role == asked.role), None)

    def _scopes(self, population: str, *, topic: str = "", search: str = "") -> _Scopes:
        names, wanted = self._state.whole.names, search.lower()
        numbers = [
            number
            for number, name in enumerate(names)
            if (not population or name.population == population)
            and (not topic or name.topic == topic)
            and wanted in name.topic
        ]
        users = self._users(np.array(numbers, np.int64))
        order = np.argsort(-users, kind="stable")[: np.count_nonzero(users)]
        chosen = np.array(numbers, np.int64)[order]
        return _Scopes(chosen, [names[number] for number in chosen.tolist()])

    def _users(self, numbers: Ints) -> Ints:
        users: Ints = self._state.whole.cuts(numbers).users.max(axis=0)
        return users

    def _populations(self) -> list[str]:
        """Every population, the one with the most users first."""
        return [name.population for name in self._scopes("", topic=ALL_TOPICS).names]


def _scope(asked: queries.OfScope) -> ScopeName:
    return ScopeName(asked.population, asked.topic)


def _topic(scope: ScopeName, cuts: dict[tuple[str, str, Role], Cut]) -> Topic:
    maven, connector = (cuts.get((scope.topic, scope.population, role)) for role in (Role.MAVEN, Role.CONNECTOR))
    return Topic(
        topic=scope.topic,
        population=scope.population,
        users=max(cut.users if cut else 0 for cut in (maven, connector)),
        connector=connector,
        maven=maven,
    )


def _moment(window_end: int, cut: Cut | Past) -> Moment:
    return Moment(
        window_end=window_end,
        users=cut.users,
        total=cut.total,
        k=cut.k,
        threshold=cut.threshold,
        coverage=cut.coverage,
        percent_of_users=100 * cut.k / cut.users,
        gini=cut.gini,
        flagged=cut.flagged,
        emerging=cut.emerging,
    )


def _ranks(first: Sequence[Ranked]) -> Iterator[tuple[str, int]]:
    """The exact ranks of those before whom nobody is missing; a curve knows ranks to the width of a bin."""
    others = [ranked.value for ranked in first if not ranked.is_emerging]
    values = np.sort([ranked.value for ranked in first])
    for ranked in first:
        if others and ranked.value >= others[-1]:
            yield ranked.user, len(values) - int(np.searchsorted(values, ranked.value, "right")) + 1


def _next(reached: int, total: int) -> int | None:
    return reached if reached < total and reached <= queries.DEEPEST else None
