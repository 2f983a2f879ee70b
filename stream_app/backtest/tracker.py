"""The offline tracker: one ledger, one home and the rules, on steps of event time instead of ticks of a clock.

    events of a step ──▶ ledger ──▶ additions ──▶ home: cuts, ranking ──▶ rules ──▶ flags

It uses what a worker uses, and no more of it than one partition needs.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from stream_app.backtest.steps import Step
from stream_app.core.cuts.scope_cuts import ScopeIntervals
from stream_app.core.exchange.delta_message import DeltaSource
from stream_app.core.exchange.delta_sender import DeltaSender, HomeState
from stream_app.core.exchange.followed_cuts import FollowedCuts, LedgerScopes
from stream_app.core.exchange.home import Home
from stream_app.core.flags.evaluation import EvaluationTime, evaluate, flags_of
from stream_app.core.flags.event_time_steps import next_look
from stream_app.core.flags.outcomes import FORESIGHT_MS, Standing
from stream_app.core.flags.ranked_scopes import RankedScopes
from stream_app.core.flags.ranking import RANKED, are_followed
from stream_app.core.flags.standing import EMERGING
from stream_app.core.flags.track_record import TrackRecord
from stream_app.core.flags.watched_rows import WatchedRows
from stream_app.core.messages import ROLES, Flag
from stream_app.core.retractions.retraction_batch import Retractions
from stream_app.core.retractions.taking_back import look_up, take_back
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.watermark import Source
from stream_app.settings import Settings
from stream_app.settings.standing_rules import rules_of

_HOME = {0: HomeState(epoch=1, asked=1)}
_MOST_BYTES = 1_000_000_000


class Evaluated(NamedTuple):
    """The end of a step, how many events were counted in it, and the flags that were raised."""

    end_ms: int
    events: int
    flags: list[Flag]


class OfflineTracker:
    """Counts events step by step, and evaluates at the end of each."""

    def __init__(self, settings: Settings) -> None:
        rules = rules_of(settings)
        self._version = settings.version
        self._topics, self._retractions_topic = settings.input_topics, settings.retractions_topic
        self._steps = settings.steps
        self.ledger = Ledger(settings.pane_ms, settings.panes, settings.short_panes)
        self.counted = Source()
        """Of both sources together."""
        self._sender = DeltaSender(DeltaSource(0, 1), 1)
        self._home = Home(1, settings.share, rules.ranking)
        self._followed = FollowedCuts()
        self._scopes = LedgerScopes()
        self._watched = WatchedRows()
        self._ranked = RankedScopes(self._followed, rules)
        self._record = TrackRecord(settings.version, settings.panes * settings.pane_ms, FORESIGHT_MS)
        self._here: set[int] = set()
        """The scopes that are followed, by their number in the home."""
        self.end_ms = 0
        """Where event time has come to, epoch ms."""

    @property
    def is_warming_up(self) -> bool:
        """Whether it has not yet seen a whole window."""
        return self.ledger.window.start_ms(self.end_ms - 1) < self.ledger.since

    def run(self, steps: Iterable[Step]) -> Iterator[Evaluated]:
        """Count the steps one by one; yield each, and those between in which only time went on."""
        for step in steps:
            for end_ms in self._quiet_until(step.number):
                yield Evaluated(end_ms, 0, self._evaluate(end_ms))
            for place, credits_ in step.batches:
                topic = self._topics[place]
                late = self.ledger.late(topic, credits_.ts_ms)
                self.counted.add(self.ledger.apply(topic, 0, credits_, late, 0).counts)
            if len(step.taken.ts_ms):
                self._take_back(step.taken)
            counted = sum(len(credits_.ts_ms) for _, credits_ in step.batches)
            end_ms = self._steps.end_ms(step.number)
            yield Evaluated(end_ms, counted, self._evaluate(end_ms))

    def _take_back(self, taken: Retractions) -> None:
        taken_back = take_back(self.ledger, self._retractions_topic, 0, look_up(self.ledger, taken), 0, 0)
        self.counted.add(taken_back.counts._replace(unknown=0))

    def _quiet_until(self, first: int) -> Iterator[int]:
        """Yield the ends of steps between the last one and `first`, the next in which anything is counted."""
        if not self.end_ms:
            return
        now = busy = self._steps.step(self.end_ms - 1)
        while (now := next_look(busy, now, first)) < first:
            yield self._steps.end_ms(now)

    def _evaluate(self, end_ms: int) -> list[Flag]:
        """Move the window on to the end of a step, and raise the flags."""
        self.end_ms, ledger = end_ms, self.ledger
        ledger.advance(end_ms - 1)
        thresholds = self._scopes.thresholds(ledger, self._followed)
        for message in self._sender.messages(ledger, thresholds, _HOME, _MOST_BYTES):
            self._home.hear(message)
        self._follow(end_ms - 1)
        self._ranked.update()
        numbers = self._scopes.numbers(ledger, self._followed)
        changes = evaluate(ledger, self._watched.due(ledger, self._scopes, self._ranked), numbers, self._ranked)
        if not len(changes.rows):
            return []
        moment = EvaluationTime.of(ledger, end_ms - 1, self._version)
        scopes = numbers[ledger.rows.scopes_of(changes.rows)]
        ranks = self._followed.ranks(scopes, changes.roles, changes.values)
        self._record.advance(end_ms - 1)
        flags = flags_of(changes, ranks, moment, ledger, self._record)
        for flag in flags:
            self._record.add(flag)
        return flags

    def candidates(self) -> Iterator[Standing]:
        """Yield who is not in a cut now, and could be: with enough evidence, in a scope that is ranked."""
        ledger, ranked = self.ledger, self._followed.cuts.ranking == RANKED
        numbers = self._scopes.numbers(ledger, self._followed)[ledger.rows.scopes]
        users, scopes, names = ledger.rows.users, ledger.rows.scopes, ledger.scopes.names()
        for role, floor in enumerate(self._ranked.rules.floors):
            are_out = ledger.rows.standings[role] <= EMERGING
            for row in np.flatnonzero(are_out & ranked[role][numbers] & (ledger.rows.values(role) >= floor)).tolist():
                yield ledger.users.names[users[row]], *names[scopes[row]], ROLES[role]

    def _follow(self, now_ms: int) -> None:
        """Take the cuts of scopes whose users can be flagged."""
        changed, home = self._home.recompute(now_ms), self._home
        is_followed = are_followed(home.cuts.of(changed))
        for scope in self._here.intersection(changed[~is_followed].tolist()):
            self._followed.take(home.names[scope], None)
            self._here.discard(scope)
        followed = changed[is_followed]
        for name, record in home.records(followed, home.curves(followed), ScopeIntervals.empty(len(followed))):
            self._followed.take(name, record)
        self._here.update(followed.tolist())
        self._followed.forget_unused()
        if (kept := home.forget_unused()) is not None:
            self._here = {place for place, number in enumerate(kept.tolist()) if number in self._here}
