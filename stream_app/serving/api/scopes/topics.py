"""Which topics there are, their cuts and curves now and over the window: what every worker knows of all scopes."""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.cuts.history import PastCut
from stream_app.core.cuts.lorenz import lorenz
from stream_app.core.messages import ALL_TOPICS, ROLES, Cut, Role
from stream_app.core.state.scopes import ScopeName
from stream_app.serving.api import params
from stream_app.serving.api.responses import Curve, Cuts, History, Moment, Topic, Topics
from stream_app.serving.api.state import ApiState


class _Scopes(NamedTuple):
    """Scopes with users, those of the most users first."""

    numbers: Ints
    names: list[ScopeName]


class TopicQueries:
    """Answers about scopes; `pane_ms`: length of a pane."""

    def __init__(self, state: ApiState, pane_ms: int) -> None:
        self._state = state
        self._pane_ms = pane_ms

    def topics(self, asked: params.OfTopics) -> Topics:
        """Topics, `*` first, then those with the most users."""
        scopes = self._scopes(asked.population, search=asked.search)
        order = sorted(range(len(scopes.names)), key=lambda place: scopes.names[place].topic != ALL_TOPICS)
        page = order[asked.offset : asked.offset + asked.limit]
        cuts = {(cut.topic, cut.population, cut.role): cut for cut in self._state.cuts(scopes.numbers[page])}
        return Topics(
            topics=[_topic(scopes.names[place], cuts) for place in page],
            populations=self._populations(),
            total=len(order),
            next=next_after(asked.offset + len(page), len(order)),
        )

    def cuts(self, asked: params.OfCuts) -> Cuts:
        """The present cuts."""
        scopes = self._scopes(asked.population, topic=asked.topic)
        roles = ROLES if asked.role is None else (asked.role,)
        users = self._state.global_cuts.cuts(scopes.numbers).users[[ROLES.index(role) for role in roles]]
        there = np.argwhere(users.T > 0)
        page = there[asked.offset : asked.offset + asked.limit]
        known = self._state.cuts(scopes.numbers[np.unique(page[:, 0])])
        cuts = {(cut.population, cut.topic, cut.role): cut for cut in known}
        keys = [(*scopes.names[place], roles[role]) for place, role in page.tolist()]
        return Cuts(
            cuts=[cuts[key] for key in keys], total=len(there), next=next_after(asked.offset + len(keys), len(there))
        )

    def history(self, asked: params.OfScope) -> History:
        """How a cut moved."""
        pane_ms = self._pane_ms
        first = self._state.window_start_ms // pane_ms
        past = self._state.past.of(scope_of(asked), asked.role, first)
        moments = {(pane + 1) * pane_ms: _moment((pane + 1) * pane_ms, cut) for pane, cut in past}
        if now := self.cut(asked):
            moments[now.window_end] = _moment(now.window_end, now)
        return History(
            topic=asked.topic,
            population=asked.population,
            role=asked.role,
            pane_ms=pane_ms,
            moments=[moments[end] for end in sorted(moments)],
        )

    def curve(self, asked: params.OfScope) -> Curve:
        """The Lorenz curve, and the cut in it."""
        cells = self._state.global_cuts.cells(scope_of(asked), ROLES.index(asked.role))
        return Curve(
            topic=asked.topic,
            population=asked.population,
            role=asked.role,
            cut=self.cut(asked),
            points=lorenz(cells),
        )

    def cut(self, asked: params.OfScope) -> Cut | None:
        """The present cut; None where nobody has a value."""
        number = self._state.global_cuts.find(scope_of(asked))
        if number is None:
            return None
        return next((cut for cut in self._state.cuts(np.array([number])) if cut.role == asked.role), None)

    def _scopes(self, population: str, *, topic: str = "", search: str = "") -> _Scopes:
        names, wanted = self._state.global_cuts.names, search.lower()
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
        users: Ints = self._state.global_cuts.cuts(numbers).users.max(axis=0)
        return users

    def _populations(self) -> list[str]:
        """Every population, the one with the most users first."""
        return [name.population for name in self._scopes("", topic=ALL_TOPICS).names]


def scope_of(asked: params.OfScope) -> ScopeName:
    """The scope that is asked about."""
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


def _moment(window_end: int, cut: Cut | PastCut) -> Moment:
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


def next_after(reached: int, total: int) -> int | None:
    """Where the next page begins; None on the last."""
    return reached if reached < total and reached <= params.DEEPEST else None
