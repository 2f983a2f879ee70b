"""The backtest raises the flags of a naive evaluation, which works everything out anew at every step."""

import random
from collections.abc import Iterator
from fractions import Fraction

import msgspec
import pytest

from stream_app.backtest.run import backtest
from stream_app.settings.environment import load
from stream_app.sources.recorded_event import RecordedEvent
from tests.unit.backtest.naive_flags import NaiveEvent, NaiveFlag, NaiveTracker

MINUTE_MS = 60_000
START_MS = 1_475_280_000_000
STEP_MS = 5 * MINUTE_MS
SLOT_MS = Fraction(10_000, 3)
"""Slots of which three make a pane of ten seconds: not a whole number of ms."""
RULES = {
    "window_s": "3h",
    "dwell_s": "10m",
    "min_users": "10",
    "min_posts": "2",
    "min_impressions": "20",
    "diffuse_fraction": "0.5",
    "emerging_events": "2",
    "emerging_z": "1",
}


def stream(seed: int, count: int) -> Iterator[NaiveEvent]:
    """People who come and go: a few loud ones, bursts, quiet times, late and repeated events."""
    chosen, now_ms = random.Random(seed), START_MS
    sent: list[NaiveEvent] = []
    for number in range(count):
        now_ms += round(chosen.choice([0, 0.2, 0.5, 1, 2, 4, 12]) * MINUTE_MS) + chosen.randrange(1000)
        user = f"u{min(int(chosen.paretovariate(0.9)), 40)}"
        is_late = chosen.random() < 0.05
        event = NaiveEvent(
            chosen.random() < 0.4,
            number,
            now_ms - (chosen.randrange(300 * MINUTE_MS) if is_late else 0),
            user,
            chosen.choice([(), (), ("tea",), ("tea", "cars")]),
            int(10 * chosen.paretovariate(0.9)),
        )
        if sent and chosen.random() < 0.03:
            event = chosen.choice(sent)
        sent.append(event)
        yield event


def recorded(event: NaiveEvent) -> RecordedEvent:
    value = {
        "event_id": event.number,
        "ts": event.ts,
        "user_id": event.user,
        "topics": event.topics,
        "impressions": event.people,
        "kind": "share" if event.is_share else "post",
    }
    return RecordedEvent(event.is_share, event.user.encode(), msgspec.json.encode(value), event.ts)


def taking_back(event: NaiveEvent) -> RecordedEvent:
    kind = "share" if event.is_share else "post"
    value = {"kind": "retract", "of": kind, "event_id": event.number, "ts": event.ts, "user_id": event.user}
    return RecordedEvent(False, event.user.encode(), msgspec.json.encode(value), event.ts, retraction=True)


@pytest.mark.parametrize(
    ("seed", "rules", "step_ms"),
    [
        *((seed, {}, Fraction(STEP_MS)) for seed in range(6)),
        *((seed, {"pane_s": "10", "window_s": "3h", "short_s": "50", "step_s": "3"}, SLOT_MS) for seed in range(2)),
        (3, {"pane_s": "100", "short_s": "700", "step_s": "100"}, Fraction(100_000)),
    ],
)
def test_the_flags_are_those_of_a_naive_evaluation(seed: int, rules: dict[str, str], step_ms: Fraction) -> None:
    settings, events = load({}, RULES | rules), list(stream(seed, 700))
    wanted = sorted(NaiveTracker(settings, step_ms).run(events))
    result = backtest([recorded(event) for event in events], settings)
    found = sorted(
        NaiveFlag(
            *(flag.event_time, flag.user_id, flag.topic, flag.role, flag.type, flag.rule, flag.reason or ""),
            *(flag.value, flag.threshold),
        )
        for flag in result.flags
    )
    assert found == wanted
    assert len({flag.rule for flag in wanted}) >= 7


@pytest.mark.parametrize("comes_first", [True, False])
def test_what_is_taken_back_before_it_is_looked_at_was_never_there(comes_first: bool) -> None:
    settings, events = load({}, RULES), list(stream(7, 500))
    wrong = [event._replace(number=1000 + event.number, topics=("tea",)) for event in events[::4]]
    retractions = [taking_back(event) for event in wrong]
    kept = [recorded(event) for event in events]
    sent = sorted([*kept, *map(recorded, wrong)], key=lambda event: event.ts_ms)
    found = backtest(retractions + sent if comes_first else sent + retractions, settings)
    left = backtest(sorted(kept, key=lambda event: event.ts_ms), settings)
    flags, wanted = ({flag.flag_id: flag for flag in result.flags} for result in (found, left))
    assert flags == wanted != {}  # in one step in another order: that of the rows
    assert found.counted.rejected == 0


def test_the_same_events_always_give_the_same_flags() -> None:
    settings, events = load({}, RULES), [recorded(event) for event in stream(9, 300)]
    first, second = (backtest(events, settings).flags for _ in range(2))
    assert first == second
