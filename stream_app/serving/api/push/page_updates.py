"""What the page shows, computed once for everybody who looks at the same, and sent when it has changed.

However many browsers look, a selection is computed once and its bytes are sent to each. Computing may take 0.5 % of the
worker's time: where it takes longer it is done less often.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from stream_app.core.messages import ALL_TOPICS, DEFAULT_POPULATION
from stream_app.serving.api import params, responses
from stream_app.serving.api.answers import Answers, CutRecords
from stream_app.serving.api.flags.flag_log import FlagLog, LoggedFlag
from stream_app.serving.api.push.watcher import FLAGS, Watcher
from stream_app.serving.api.scopes.topics import scope_of
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.views import EVERYTHING_SEEN, View

TOPICS = 24
PEOPLE = 50
EMERGING = 30
_STORM = 2_000
"""Of more flags at once the first are not looked at."""
FEED_S = 0.5
REFRESH_S = 2.0
BUSY_FRACTION = 0.005
"""With sending, and with opening the pages, 50 browsers are to cost less than 2 % of a core."""
LONGEST_PAUSE_S = 30.0
MOST_SELECTIONS = 100
"""Of topics and roles that exist: only these cost anything. What the page begins with always has a place besides."""
MOST_UNKNOWN = 50
"""Of topics that nobody has talked about yet, or of whom that is not known yet: their pages see nothing until then."""
AT_ONCE = 8
"""Selections that are computed together. Many more would take the event loop for too long at a time, and their users
might be more than a request to another worker may hold."""

_ASKED = ("influencers", "emerging", "funnel")
"""Parts that all workers are asked for."""
_ENCODER = msgspec.json.Encoder()


class TooManySelectionsError(RuntimeError):
    """So many different selections are looked at that one more would slow all of them down."""


class UnknownScopeError(LookupError):
    """Many wait for topics that nobody has talked about, as far as is known, and this is one more."""

    def __init__(self, asked: params.ScopeParams) -> None:
        super().__init__(
            f"{asked.topic!r} in {asked.population!r} has too few users to be listed, or none, and many pages wait for "
            "such topics: /api/v1/curve has its cut, if there is one"
        )


class _Selection:
    """A topic, population and role that somebody looks at."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}
        self.watchers: set[Watcher] = set()
        self.is_counted = False
        """Whether somebody has talked about it, as far as is known."""

    def show(self, parts: dict[str, bytes]) -> None:
        changed = {name: json for name, json in parts.items() if self.parts.get(name) != json}
        self.parts = parts
        for watcher in self.watchers if changed else ():
            watcher.put(changed)


class PageUpdates:
    """Keeps every selection that is looked at up to date; `run` must run beside it."""

    def __init__(self, answers: Answers, flags: FlagLog, budget: TimeBudget, erasures: Callable[[], int]) -> None:
        """`erasures`: grows with what is known of people who were erased, or have opted out or back in."""
        self._answers = answers
        self._flags = flags
        self._budget = budget
        self._selections: dict[params.ScopeParams, _Selection] = {}
        self._wanted = asyncio.Event()
        self._erasures = erasures
        self._erased = erasures()

    @contextmanager
    def watching(
        self, asked: params.ScopeParams, view: View = EVERYTHING_SEEN, *, is_audited: bool = False
    ) -> Iterator[Watcher]:
        """Show a selection for the length of the block. Raises TooManySelectionsError, UnknownScopeError."""
        if asked not in self._selections:
            self._make_room_for(asked)
        self._apply_erasures()
        selection = self._selections.setdefault(asked, _Selection())
        watcher = Watcher(view, self._flags.last(FLAGS), self._flags.added, is_audited=is_audited)
        selection.watchers.add(watcher)
        if selection.parts:
            watcher.put(selection.parts)
        else:
            self._wanted.set()
        try:
            yield watcher
        finally:
            selection.watchers.discard(watcher)
            if not selection.watchers:
                self._selections.pop(asked, None)

    def is_known(self, asked: params.ScopeParams) -> bool:
        """Whether the topic is followed, shown already, or the one that the page begins with."""
        held = self._selections.get(asked)
        return is_start(asked) or self._answers.scopes.exists(asked) or (held is not None and held.is_counted)

    def _make_room_for(self, asked: params.ScopeParams) -> None:
        if is_start(asked):
            return
        chosen = [each for each in self._selections if not is_start(each)]
        known = sum(map(self.is_known, chosen))
        if not self.is_known(asked) and len(chosen) - known >= MOST_UNKNOWN:
            raise UnknownScopeError(asked)
        if known >= MOST_SELECTIONS:  # also for one that is not known yet: it soon may be
            raise TooManySelectionsError(
                f"{MOST_SELECTIONS} different topics and roles are being looked at: try again later"
            )

    async def run(self) -> None:
        """Refresh until cancelled."""
        async with asyncio.TaskGroup() as both:  # where one fails the other ends too, before both begin anew
            both.create_task(self._refresh_all())
            both.create_task(self._push_all_flags())

    async def _push_all_flags(self) -> None:
        """Push the flags, some at a time: in a storm of them nobody reads each."""
        pushed = self._flags.added
        while True:
            await asyncio.sleep(FEED_S)
            self._apply_erasures()
            pushed, before = self._flags.added, pushed
            if pushed == before:
                continue
            with self._budget.running():
                self._push_flags(before, pushed)

    def _push_flags(self, before: int, added: int) -> None:
        """Push what was added in between; a watcher that has just come knows some of it."""
        flags: dict[int, list[LoggedFlag]] = {}
        for watcher in [watcher for selection in self._selections.values() for watcher in selection.watchers]:
            count = min(added - max(before, watcher.begun), _STORM)
            if count not in flags:
                flags[count] = self._flags.last(count, FLAGS)
            watcher.put_flags(flags[count])

    def _apply_erasures(self) -> None:
        """What is shown may be of somebody who was erased meanwhile: it is computed anew at once."""
        if (known := self._erasures()) == self._erased:
            return
        self._erased = known
        for selection in self._selections.values():
            selection.parts = {}
        self._wanted.set()

    async def _refresh_all(self) -> None:
        while True:
            before_s = self._budget.seconds
            await self._refresh(list(self._selections.items()))
            await self._pause(asyncio.get_running_loop().time(), before_s)

    async def _pause(self, ended_s: float, before_s: float) -> None:
        """Wait until the round that ended then is followed by the next; who has just come is served at once."""
        while (left_s := ended_s + self._pause_s(before_s) - asyncio.get_running_loop().time()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._wanted.wait()
            if not self._wanted.is_set():
                return
            self._wanted.clear()
            await self._refresh([(asked, held) for asked, held in self._selections.items() if not held.parts])

    def _pause_s(self, before_s: float) -> float:
        """How long to wait after a round: by all that was answered since it began, other questions and who came too."""
        return min(max(REFRESH_S, (self._budget.seconds - before_s) / BUSY_FRACTION), LONGEST_PAUSE_S)

    async def _refresh(self, selections: Sequence[tuple[params.ScopeParams, _Selection]]) -> None:
        records = await self._answers.records(asked for asked, _ in selections)
        for asked, held in selections:
            if scope_of(asked) not in records.away:
                held.is_counted = scope_of(asked) in records.known
        some_say = [one for one in selections if self.is_known(one[0]) or scope_of(one[0]) in records.away]
        topics = dict[str, bytes]()
        for start in range(0, len(some_say), AT_ONCE):
            some = some_say[start : start + AT_ONCE]
            found = await self._answers.all_influencers([one for asked, _ in some for one in _people_of(asked)])
            funnels = await self._answers.funnels.all([asked for asked, _ in some], records.known, records.away)
            self._show(some, list(zip(found[::2], found[1::2], funnels, strict=True)), records, topics)
        said = {asked for asked, _ in some_say}
        for asked, held in selections:
            if asked not in said:
                await asyncio.sleep(0)
                leaders, emerging = (self._answers.nobody(one) for one in _people_of(asked))
                funnel = self._answers.funnels.nobody(asked)
                self._show([(asked, held)], [(leaders, emerging, funnel)], records, topics)

    def _show(
        self,
        selections: Sequence[tuple[params.ScopeParams, _Selection]],
        found: Sequence[Sequence[responses.Answer]],
        records: CutRecords,
        topics: dict[str, bytes],
    ) -> None:
        """Show what was found of some selections; `topics`: what is shown of topics in this round, by population.

        `found`: of each selection the answers named _ASKED.
        """
        common = self._common()
        for (asked, held), answers in zip(selections, found, strict=True):
            if asked.population not in topics:
                topics[asked.population] = self._topics(asked.population)
            parts = self._parts(asked, answers, records)
            # A curve that nobody can say at the moment stays as it was.
            held.show({**held.parts, **common, "topics": topics[asked.population], **parts})

    def _common(self) -> dict[str, bytes]:
        """What everybody is shown."""
        with self._budget.running():
            overview = self._answers.overview
            answers = {"about": overview.about(), "health": overview.health(), "quality": overview.flag_quality()}
            return {name: self._encoded(answer) for name, answer in answers.items()}

    def _topics(self, population: str) -> bytes:
        with self._budget.running():
            return self._encoded(self._answers.scopes.topics(params.TopicParams(population=population, limit=TOPICS)))

    def _parts(
        self, asked: params.ScopeParams, answers: Sequence[responses.Answer], records: CutRecords
    ) -> dict[str, bytes]:
        """What only this selection shows."""
        with self._budget.running():
            shown = {name: self._encoded(one) for name, one in zip(_ASKED, answers, strict=True)}
            if scope_of(asked) in records.away:
                return shown
            record = records.known.get(scope_of(asked))
            return {
                "curve": self._encoded(self._answers.scopes.curve(asked, record)),
                "history": self._encoded(self._answers.scopes.history(asked, record)),
                **shown,
            }

    def _encoded(self, answer: responses.Answer) -> bytes:
        """What may be said of an answer, as JSON."""
        return _ENCODER.encode(self._answers.disclosed(answer))


def is_start(asked: params.ScopeParams) -> bool:
    """Whether it is what the page begins with, where no topic is chosen."""
    return (asked.topic, asked.population) == (ALL_TOPICS, DEFAULT_POPULATION)


def _people_of(asked: params.ScopeParams) -> Iterator[params.InfluencerParams]:
    """What is asked about people, the leaders and who emerges."""
    place = msgspec.structs.asdict(asked)
    yield params.InfluencerParams(**place, limit=PEOPLE)
    yield params.InfluencerParams(**place, standing=("emerging",), order="emerging", limit=EMERGING)
