"""What must hold of the funnel when everything has come to rest: entries are those of the events that are left."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.events.schema import Event, Share
from stream_app.core.funnel.funnel import Funnel
from stream_app.core.funnel.funnel_events import entry_keys
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName
from stream_app.engine.influence.funnel_settings import funnel_settings_of
from stream_app.kafka.topics import changelogs_of
from tests.naive import identity_of, ms_of, naive_topics
from tests.simulation.feed import PANE_MS, expected
from tests.simulation.plan import PANES

if TYPE_CHECKING:
    from tests.simulation.run import Run

Entry = tuple[int, str | None]
"""Time and recruiter."""


def wrong(run: "Run") -> Iterator[str]:
    """People who have other entries in the window, or other recruiters, than their events say.

    Whether an event that has left the window was taken back before, nobody can say: who has one is left out.
    """
    start_ms = (run.feed.newest_ms // PANE_MS - PANES + 1) * PANE_MS
    gap_ms = round(run.plan.settings.funnel_gap_s * 1000)
    for partition in range(run.plan.settings.partitions):
        funnel, people = _restored(run, partition), _events(run, partition)
        for user, events in people.items():
            retracted = [event for event in events if identity_of(event) in run.feed.retracted]
            if any(ms_of(event) < start_ms for event in retracted):
                continue
            left = [event for event in events if event not in retracted]
            for topic in {topic for event in events for topic in naive_topics(event)}:
                theirs = [event for event in left if topic in naive_topics(event)]
                wanted = [entry for entry in _entries(theirs, gap_ms) if entry[0] >= start_ms]
                found = _found(funnel, user, ScopeName(events[0].population or "all", topic), start_ms)
                if found != wanted:
                    yield f"{user} has entries {found} in {topic}, must have {wanted}"


def _events(run: "Run", partition: int) -> dict[str, list[Event]]:
    """The events that count, by user, in their order."""
    found: dict[str, list[Event]] = defaultdict(list)
    for topic in run.plan.settings.input_topics:
        records = run.feed.produced[topic, partition]
        for record, outcome in zip(records, expected(records, run.gone.get((topic, partition), [])), strict=True):
            if outcome == "applied" and record.event is not None:
                found[str(record.event.user_id)].append(record.event)
    return {
        user: sorted(events, key=lambda event: (ms_of(event), str(event.event_id), isinstance(event, Share)))
        for user, events in found.items()
    }


def _entries(events: Sequence[Event], gap_ms: int) -> Iterator[Entry]:
    before_ms = None
    for event in events:
        if before_ms is None or ms_of(event) - before_ms >= gap_ms:
            named = str(event.author_id) if isinstance(event, Share) else None
            yield ms_of(event), None if named == event.user_id else named
        before_ms = ms_of(event)


def _found(funnel: Funnel, user: str, scope: ScopeName, start_ms: int) -> list[Entry]:
    keys = entry_keys(funnel.keys.persons([user]), funnel.keys.scopes([scope]))
    records = funnel.entries.of(keys).episodes.records
    credited = zip(records["first_ms"].tolist(), records["credited"].tolist(), strict=True)
    names = funnel.people.names
    return [(first_ms, names[number] if number >= 0 else None) for first_ms, number in credited if first_ms >= start_ms]


def _restored(run: "Run", partition: int) -> Funnel:
    """The funnel as the next owner would find it, with all decided."""
    settings = run.plan.settings
    table = run.broker.logs[changelogs_of(settings)[0], partition].table()
    ledger = Ledger(settings.pane_ms, PANES, settings.short_panes)
    store = LedgerStore(partition, ledger, table, lambda _key, _value: None, funnel=funnel_settings_of(settings))
    store.begin(2**30)
    store.decide(2**60)
    assert store.funnel is not None
    return store.funnel.funnel
