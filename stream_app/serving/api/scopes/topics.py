"""Answers about scopes: which topics there are, their cuts and curves now and over the window."""

import numpy as np

from stream_app.core.messages import ALL_TOPICS, ROLES, Cut, Role
from stream_app.core.queries import CutRecord, PastCut, ScopeName, ScopeQueries
from stream_app.serving.api import params
from stream_app.serving.api.responses import Curve, Cuts, History, Moment, Topic, Topics


class ScopeAnswers:
    """Answers about scopes: about one of them from the `record` of its home, if that has answered."""

    def __init__(self, scopes: ScopeQueries) -> None:
        self._scopes = scopes

    def topics(self, asked: params.TopicParams) -> Topics:
        """Topics, `*` first, then those with the most users."""
        scopes = self._scopes.find(asked.population, search=asked.search)
        order = sorted(range(len(scopes.names)), key=lambda place: scopes.names[place].topic != ALL_TOPICS)
        page = order[asked.offset : asked.offset + asked.limit]
        cuts = {(cut.topic, cut.population, cut.role): cut for cut in self._scopes.cuts(scopes.numbers[page])}
        return Topics(
            topics=[_topic(scopes.names[place], cuts) for place in page],
            populations=[name.population for name in self._scopes.find(topic=ALL_TOPICS).names],
            total=len(order),
            next=next_after(asked.offset + len(page), len(order)),
        )

    def cuts(self, asked: params.CutParams) -> Cuts:
        """The present cuts."""
        scopes = self._scopes.find(asked.population, topic=asked.topic)
        roles = ROLES if asked.role is None else (asked.role,)
        users = self._scopes.users(scopes.numbers)[[role.place for role in roles]]
        there = np.argwhere(users.T > 0)
        page = there[asked.offset : asked.offset + asked.limit]
        known = self._scopes.cuts(scopes.numbers[np.unique(page[:, 0])])
        cuts = {(cut.population, cut.topic, cut.role): cut for cut in known}
        keys = [(*scopes.names[place], roles[role]) for place, role in page.tolist()]
        return Cuts(
            cuts=[cuts[key] for key in keys], total=len(there), next=next_after(asked.offset + len(keys), len(there))
        )

    def history(self, asked: params.ScopeParams, record: CutRecord | None = None) -> History:
        """How a cut moved."""
        past = self._scopes.history(scope_of(asked), asked.role)
        moments = {ended_ms: _moment(ended_ms, cut) for ended_ms, cut in past}
        if now := self.cut(asked, record):
            moments[now.window_end] = _moment(now.window_end, now)
        return History(
            topic=asked.topic,
            population=asked.population,
            role=asked.role,
            pane_ms=self._scopes.window.pane_ms,
            moments=[moments[end] for end in sorted(moments)],
        )

    def curve(self, asked: params.ScopeParams, record: CutRecord | None = None) -> Curve:
        """The Lorenz curve, and the cut in it."""
        return Curve(
            topic=asked.topic,
            population=asked.population,
            role=asked.role,
            cut=self.cut(asked, record),
            points=self._scopes.lorenz(scope_of(asked), asked.role, record),
            with_evidence=self._scopes.with_evidence(scope_of(asked), asked.role, record),
        )

    def cut(self, asked: params.ScopeParams, record: CutRecord | None = None) -> Cut | None:
        """The present cut; None where nobody has a value."""
        return self._scopes.cut(scope_of(asked), asked.role, record)

    def exists(self, asked: params.ScopeParams) -> bool:
        """Whether the scope is one of those that all workers follow."""
        return self._scopes.has(scope_of(asked))


def scope_of(asked: params.FunnelParams) -> ScopeName:
    """The scope that is asked about."""
    return ScopeName(asked.population, asked.topic)


def _topic(scope: ScopeName, cuts: dict[tuple[str, str, Role], Cut]) -> Topic:
    by_role = {role.value: cuts.get((scope.topic, scope.population, role)) for role in ROLES}
    return Topic(
        topic=scope.topic,
        population=scope.population,
        users=max(cut.users if cut else 0 for cut in by_role.values()),
        **by_role,
    )


def _moment(window_end: int, cut: Cut | PastCut) -> Moment:
    k_low, k_high = cut.k_low or None, cut.k_high or None
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
        k_low=k_low,
        k_high=k_high,
        percent_of_users_low=100 * k_low / cut.users if k_low else None,
        percent_of_users_high=100 * k_high / cut.users if k_high else None,
        threshold_low=cut.threshold_low or None,
        threshold_high=cut.threshold_high or None,
    )


def next_after(reached: int, total: int) -> int | None:
    """Where the next page begins; None on the last."""
    return reached if reached < total and reached <= params.DEEPEST else None
