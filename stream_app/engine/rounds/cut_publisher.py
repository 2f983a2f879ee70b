"""The cut publisher: publishes what is new in the cuts of the homes that this worker owns, and their past cuts."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Ints, Mask, distinct_in
from stream_app.core.cuts.cut_news import CutNews
from stream_app.core.cuts.history import MOST_PER_HOME, PastKey
from stream_app.core.cuts.publication import Frame, PublishedCuts, keys_of
from stream_app.core.cuts.scope_cuts import ScopeCuts, ScopeIntervals
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.exchange.cut_record import CutRecord
from stream_app.core.exchange.delta_message import home_of
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.exchange.home import Home
from stream_app.core.exchange.written_records import WrittenRecords
from stream_app.core.messages import OWN_ROLES, Cut, Role
from stream_app.core.queries.queryable_state import FEW_SCOPES
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import EngineContext
from stream_app.engine.output_topics import scope_key
from stream_app.engine.rounds.curve_exchange import CurveExchange

logger = logging.getLogger(__name__)

MOST_SCOPES = 20_000
"""Published in a round: about 18 MB of cuts, which are in memory until Kafka has them."""
MOST_RESTORED = 200
"""Written again in a round, at .25 ms each."""
_KEY = msgspec.json.Decoder(tuple[str, str, Role])


class _Published(NamedTuple):
    """A home, and what has been published of it."""

    home: Home
    news: CutNews
    messages: dict[tuple[ScopeName, Role], Cut]
    """The cuts last published of the scopes that are followed."""
    later: list[Ints]
    """Scopes whose cuts this worker follows, and nobody else yet."""


class CutPublisher:
    """Publishes cuts: to readers, and to all workers those of scopes whose users can be ranked."""

    def __init__(self, context: EngineContext, exchange: CurveExchange) -> None:
        self._context = context
        self._exchange = exchange
        self._written = WrittenRecords()
        self._pane: int | None = None
        """The last pane of the window at the last `publish`."""
        self._version = context.settings.version
        self._published: dict[int, _Published] = {}
        self._last = -1
        """The home that was published last."""
        self.took_over = asyncio.Event()
        """Set when homes were taken over from another owner, who may have left stale cuts; see `forget_others`."""
        self._fresh: set[int] = set()
        """Homes of which not everything has been published once: which cuts are stale is not known yet."""

    def shown(self) -> list[Cut]:
        """Return the cuts last published by this worker, of the scopes that are followed."""
        return [cut for known in self._published.values() for cut in known.messages.values()]

    def publish(self, newest_ms: int, *, ranks: bool = True) -> None:
        """Publish what is new; what is more than MOST_SCOPES waits for the next rounds, in turn.

        `ranks`: whether it is decided anew which scopes are ranked.
        `newest_ms`: the end of the window. The curves of others may arrive before it is known; publishing then waits.
        """
        self._remember(self._pane_at(newest_ms))
        self._follow()
        if newest_ms == NO_TIME:
            return
        frame, room = self.frame(newest_ms), MOST_SCOPES
        owned = self._context.owned
        staying = [home for home in self._published if home in owned and not owned[home].is_paused]
        for home in sorted(staying, key=lambda home: (home <= self._last, home)):
            room -= self._publish(self._published[home], frame, newest_ms, room, ranks=ranks)
            if room <= 0:
                self._last = home
                return
            if home in self._fresh and self._published[home].home.is_complete:
                self._fresh.discard(home)
                self._forget_records(home, self._published[home].home)
                self.took_over.set()
        self._restore_overwritten({*staying} - self._fresh, monotonic())

    def follow(self, newest_ms: int, *, has_others: bool) -> None:
        """Have all workers follow the cuts at the end of a step; readers get them later, by `publish`.

        `has_others`: whether there are other workers, who have to be sent them. Until everything was published once,
        this publishes it.
        """
        self._remember(self._pane_at(newest_ms))
        self._follow()
        if self._fresh or self._published.keys() != self._context.owned.keys():
            self.publish(newest_ms)
            return
        take = self._record if has_others else self._context.followed.take
        for known in self._published.values():
            home, changed = known.home, known.home.recompute(newest_ms)
            if len(changed):
                known.later.append(changed)
                is_followed = known.news.are_followed(home.cuts.of(changed))
                self._forget(home, changed[~is_followed])
                scopes = changed[is_followed]
                for name, record in home.records(scopes, home.curves(scopes), ScopeIntervals.empty(len(scopes))):
                    take(name, record)

    def forget_others(self, keys: Iterable[bytes]) -> None:
        """Delete stale cuts: those of `keys`, all cuts on Kafka, that are at home here but no longer exist."""
        ready, partitions = self._published.keys() - self._fresh, self._context.settings.partitions
        least = self._context.settings.disclosure.least
        ours = defaultdict[int, list[tuple[bytes, ScopeName, Role]]](list)
        for key in keys:
            if (parsed := _parsed(key)) is not None and (home := home_of(parsed[0], partitions)) in ready:
                ours[home].append((key, *parsed))
        for home, found in ours.items():
            known = self._published[home].home
            self._context.output.forget_cuts(
                key for key, name, role in found if not known.has_users(name, role.place, least)
            )

    def frame(self, newest_ms: int) -> Frame:
        """Return the fields that all cuts have in common now; `newest_ms`: the end of the window."""
        pane_ms = self._context.settings.pane_ms
        end_ms = (newest_ms // pane_ms + 1) * pane_ms
        start_ms = end_ms - self._context.settings.panes * pane_ms
        return Frame(self._context.settings.share, start_ms, end_ms, round(self._context.clock() * 1000), self._version)

    def _follow(self) -> None:
        """Begin with homes that have become complete, and end with those that are not here any more."""
        settings, homes = self._context.settings, self._context.homes.complete()
        lost = {place for place, known in self._published.items() if homes.get(place) is not known.home}
        if lost:
            self._written.forget(lambda name: home_of(name, settings.partitions) in lost)
        for place in lost:
            known = self._published.pop(place)
            self._fresh.discard(place)
            there = np.flatnonzero(known.home.cuts.users.any(axis=0))
            gone = known.home.cuts.of(there).users > 0
            for scope, role in keys_of([known.home.names[scope] for scope in there.tolist()], gone):
                self._context.meter.cut_gone(scope, role)
        for place, home in homes.items():
            if place not in self._published:
                news = CutNews(-(-FEW_SCOPES // settings.partitions), settings.disclosure.least)
                self._published[place] = _Published(home, news, {}, [])
                home.begin(self._context.followed)
                self._fresh.add(place)

    def _forget_records(self, place: int, home: Home) -> None:
        """Delete the records of scopes that vanished while the home had no owner, or was not complete."""
        followed = self._context.followed
        for name in [followed.names[number] for number in self._followed_at(place).tolist()]:
            if not home.has_any_users(name):
                self._record(name, None)

    def _followed_at(self, place: int) -> Ints:
        """Return the followed scopes that are at home in a partition."""
        followed, partitions = self._context.followed, self._context.settings.partitions
        names = enumerate(followed.names)
        found = [number for number, name in names if followed.has(name) and home_of(name, partitions) == place]
        return np.array(found, np.int64)

    def _restore_overwritten(self, homes: set[int], now_s: float) -> None:
        """Write the records again in whose place somebody else has written; `homes`: those that were published now."""
        settings = self._context.settings
        self._written.read(self._exchange.take_read_back(), now_s)

        def is_ready(name: ScopeName) -> bool:
            place = home_of(name, settings.partitions)
            return place in homes and self._published[place].home.is_complete

        for name in self._written.overwritten(now_s, is_ready, MOST_RESTORED):
            logger.warning(
                "somebody else wrote a cut that this worker publishes on %s, and it is written again: who may "
                "write to that topic?",
                *(settings.curves_topic,),
                extra={"kind": settings.curves_topic},
            )
            home = self._published[home_of(name, settings.partitions)].home
            self._record(name, home.record(name) if self._context.followed.has(name) else None)

    def _pane_at(self, newest_ms: int) -> int:
        """Return the pane that has begun: with its first event anywhere, unless others are far behind that."""
        pane_ms = self._context.settings.pane_ms
        pane, newest_pane = newest_ms // pane_ms, self._context.homes.newest_event_ms // pane_ms
        return newest_pane if newest_pane == pane + 1 else pane

    def _remember(self, pane: int) -> None:
        """When a pane has ended, publish the cuts at its end; delete past cuts that have left the window."""
        ended = self._pane
        if ended is not None and pane <= ended:
            return
        self._pane = pane
        if ended is None:
            return
        output, frame = self._context.output, self.frame(ended * self._context.settings.pane_ms)
        for place, held in self._context.owned.items():
            if not held.is_paused and (cuts := list(self._known_cuts(place, frame))):
                output.past(PastKey(place, ended), cuts)
        for old in self._exchange.past.before(pane - self._context.settings.panes):
            if old.home % self._context.settings.partitions in self._published:  # up to 0.3 there were 64 groups
                output.past(old, ())

    def _known_cuts(self, place: int, frame: Frame) -> Iterator[Cut]:
        """Return the cuts of a home; while it has not heard everything, those that were published last."""
        known = self._published.get(place)
        if known is not None and place not in self._fresh:
            return self._all(known.home, _most_users(known.home.cuts), frame)
        followed, at_home = self._context.followed, self._followed_at(place)
        return self._all(followed, at_home[_most_users(followed.cuts.of(at_home))], frame)

    def _publish(self, known: _Published, frame: Frame, newest_ms: int, most: int, *, ranks: bool) -> int:
        """Publish what is new in a home; returns the number of scopes."""
        home, news = known.home, known.news
        changed = home.recompute(newest_ms, ranks=ranks)  # before its cuts are looked at: there may be more afterwards
        if not home.is_complete:
            logger.error("additions that no partition has sent: a home begins anew; who may write to that topic?")
            return 0
        if known.later:
            changed = distinct_in(np.concatenate([changed, *known.later]))
            known.later.clear()
        scopes = news.look(home.cuts, changed, frame.window_end, frame.computed_at, most)
        if len(scopes):
            now = home.cuts.of(scopes)
            were_there = news.publish(scopes, now, frame.computed_at)
            least = self._context.settings.disclosure.least
            names, cells = [home.names[scope] for scope in scopes.tolist()], home.curves(scopes)
            intervals, followed = home.intervals(scopes, cells), news.are_followed(now)
            self._publish_cuts(known, PublishedCuts(names, now, frame, intervals), were_there & (now.users < least))
            self._forget(home, scopes[~followed])
            for name, record in home.records(scopes[followed], cells, intervals.of(np.flatnonzero(followed))):
                self._record(name, record)
        if len(scopes) < most and (kept := home.forget_unused()) is not None:
            news.renumber(kept)
        return len(scopes)

    def _publish_cuts(self, known: _Published, now: PublishedCuts, are_gone: Mask) -> None:
        output, meter = self._context.output, self._context.meter
        are_followed = known.news.are_followed(now.cuts).tolist()
        followed = {name for name, is_one in zip(now.names, are_followed, strict=True) if is_one}
        for cut in self._messages(now):
            output.cuts([cut])
            meter.cut(cut)
            place = (ScopeName(cut.population, cut.topic), cut.role)
            if place[0] in followed:
                known.messages[place] = cut
            else:
                known.messages.pop(place, None)
        for scope, role in keys_of(now.names, are_gone):
            output.forget_cuts([scope_key(scope, role)])
            meter.cut_gone(scope, role)
            known.messages.pop((scope, role), None)

    def _forget(self, home: Home, scopes: Ints) -> None:
        """Delete the records of scopes that are not followed any more."""
        for name in [home.names[scope] for scope in scopes.tolist()]:
            if self._context.followed.has(name):
                self._record(name, None)

    def _record(self, scope: ScopeName, record: CutRecord | None) -> None:
        self._written.write(scope, self._context.output.cut_record(scope, record))
        self._context.followed.take(scope, record)

    def _messages(self, cuts: PublishedCuts) -> Iterator[Cut]:
        settings = self._context.settings
        return cuts.messages(self._context.rules.ranking, settings.population_sizes, settings.disclosure)

    def _all(self, of: Home | FollowedCuts, scopes: Ints, frame: Frame) -> Iterator[Cut]:
        names, followed = [of.names[scope] for scope in scopes.tolist()], self._context.followed
        # As last published: since then a home may have heard more than its cuts know of.
        intervals = followed.intervals.of(np.array([followed.find(name) for name in names], np.int64))
        return self._messages(PublishedCuts(names, of.cuts.of(scopes), frame, intervals))


def _parsed(key: bytes) -> tuple[ScopeName, Role] | None:
    """Return scope and role of a cut's key; None if it is not a valid key."""
    try:
        topic, population, role = _KEY.decode(key)
    except DECODE_ERRORS:
        return None
    return ScopeName(population, topic), role


def _most_users(cuts: ScopeCuts) -> Ints:
    """Return the scopes with the most users, as many as the history keeps."""
    users = cuts.users.max(axis=0)
    most: Ints = np.argsort(-users, kind="stable")[: min(MOST_PER_HOME // OWN_ROLES, int(np.count_nonzero(users)))]
    return most
