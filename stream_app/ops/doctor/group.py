"""Check of the workers together: whether they have one release, the same settings, and right clocks; event time."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from time import time

from stream_app import __version__
from stream_app.core.group.announcement import differences
from stream_app.core.group.clocks import TOLERANCE_S
from stream_app.core.state.watermark import NO_TIME
from stream_app.findings import Finding, ok, problem, warning
from stream_app.ops.doctor.curves_topic import CurvesTopic, HeardWorker
from stream_app.settings import Settings, environment_name
from stream_app.settings.text import ruling_texts

_DAY_S = 86_400.0
_FIRST_YEAR = 2000
_MOST_SHOWN = 8
_CLOCK = "the clocks of the workers"
_NTP = "set the clocks by NTP"


def workers(settings: Settings, found: CurvesTopic, members: int) -> Iterator[Finding]:
    """Whether the live workers fit together, and these settings to them; the group has so many `members`."""
    live = found.workers
    if members > len(live) and not _has_old_releases(found):
        advice = (
            "has one just started, or died? Else one has another STREAM_APP_CURVES_TOPIC: then both see a part of the "
            "counts, and cuts and flags are wrong; start all with the same settings"
        )
        what = f"the group has {members}, and {len(live)} announced themselves on {settings.curves_topic}"
        yield warning("workers", what, advice)
    if not live:
        return
    yield from _releases(live, found)
    yield from _settings(settings, live)
    yield from _clocks(live)
    yield from _unheard(found)


def event_time(settings: Settings, found: CurvesTopic) -> Iterator[Finding]:
    """Compare the event time reached with this machine's clock."""
    newest_ms = max((known.horizon for known in found.statuses.values()), default=NO_TIME)
    if newest_ms == NO_TIME:
        return
    behind_s = time() - newest_ms / 1000
    what = f"event time has reached {_date(newest_ms)}"
    if newest_ms < datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp() * 1000:
        advice = "`ts` is epoch milliseconds or text with a zone: does a producer send seconds? Correct it, then reset"
        yield problem("event time", f"{what}: no event is that old", advice)
    elif behind_s > _DAY_S:
        advice = "if not: is `ts` right, and do producers still send? `stream-app dead-letters list --late`"
        yield warning("event time", f"{what}: events are {behind_s / _DAY_S:,.0f} days old: replaying history?", advice)
    elif behind_s < -settings.max_ahead_s:
        advice = "events of now may count as late: set the clocks by NTP, of this machine and of the workers"
        yield problem("event time", f"{what}, {-behind_s:,.0f} s ahead of this machine's clock", advice)
    else:
        yield ok("event time", f"{what}, {max(behind_s, 0.0):,.0f} s behind this machine's clock")


def _releases(live: Sequence[HeardWorker], found: CurvesTopic) -> Iterator[Finding]:
    releases = {worker.said.release for worker in live}
    if _has_old_releases(found):
        releases.add("one before 0.3")
    named = ", ".join(sorted(releases))
    if len(releases) > 1:
        advice = "is an upgrade under way? Finish it: replace the workers of the older release, one after the other"
        yield warning("workers", f"they run different releases: {named}", advice)
    elif releases != {__version__}:
        advice = "run the doctor of that release"
        yield warning("workers", f"they run release {named}, and this is {__version__}", advice)
    else:
        yield ok("workers", f"{len(live)} announced, all of release {named}")


def _has_old_releases(found: CurvesTopic) -> bool:
    """Whether there are workers from before 0.3, which do not announce themselves."""
    return any(not known.release for known in found.statuses.values())


def _settings(settings: Settings, live: Sequence[HeardWorker]) -> Iterator[Finding]:
    first = live[0].said
    mixed = False
    for other in (worker.said for worker in live[1:]):
        if listed := _listed(first.settings, first.name, other.settings, other.name):
            mixed = True
            advice = f"nobody raises flags meanwhile: stop {other.name}, or start all with the same settings"
            yield problem("workers", f"their settings differ: {listed}", advice)
    if mixed:
        return
    if listed := _listed(first.settings, f"worker {first.name}", ruling_texts(settings), "this command"):
        advice = "a worker started with these ends with 74: take the settings of the workers, here and for new ones"
        yield warning("workers", f"these settings are not those of the workers: {listed}", advice)
    else:
        yield ok("workers", f"all have the same settings, version {settings.version}")


def _unheard(found: CurvesTopic) -> Iterator[Finding]:
    waiting = {partition: known.unheard for partition, known in found.statuses.items() if known.unheard}
    if waiting:
        sources = sorted({source for unheard in waiting.values() for source in unheard})
        what = f"the cuts put together in {_partitions(waiting)} wait to hear from {_partitions(sources)}"
        advice = "has a worker just started or left? Else see docs/runbook.md#influencecutsstandstill"
        yield warning("cuts", what, advice)


def _partitions(numbers: Collection[int]) -> str:
    shown = ", ".join(map(str, sorted(numbers)[:_MOST_SHOWN]))
    return f"partition{'s' * (len(numbers) > 1)} {shown}{' …' * (len(numbers) > _MOST_SHOWN)}"


def _listed(ours: object, our_name: str, theirs: object, their_name: str) -> str:
    found = differences(ours, theirs)  # type: ignore[arg-type]
    return "; ".join(
        f"{environment_name(each.setting)} is {each.ours or 'empty'} at {our_name} and {each.theirs or 'empty'} "
        f"at {their_name}"
        for each in found
    )


def _clocks(live: Sequence[HeardWorker]) -> Iterator[Finding]:
    stamped = [(worker.said, worker.kafka_ms) for worker in live if worker.kafka_ms is not None]
    if not stamped:
        yield _clocks_without_kafka(live)
        return
    off = [(said.name, (said.now_ms - kafka_ms) / 1000) for said, kafka_ms in stamped]
    wrong = [f"{name} is {abs(ahead):,.0f} s {_way(ahead)}" for name, ahead in off if abs(ahead) > TOLERANCE_S]
    if wrong:
        yield problem("clock", f"{_CLOCK} differ from Kafka's: {', '.join(wrong)}", _NTP)
    else:
        yield ok("clock", f"{_CLOCK} are at most {max(abs(ahead) for _, ahead in off):.1f} s off Kafka's")
    here_s = time() - max(kafka_ms for _, kafka_ms in stamped) / 1000
    if abs(here_s) > TOLERANCE_S:
        yield warning("clock", f"the clock of this machine is {abs(here_s):,.0f} s {_way(here_s)} Kafka's", _NTP)


def _clocks_without_kafka(live: Sequence[HeardWorker]) -> Finding:
    """Compare the clocks of the workers, and this machine's, with what most of them say.

    A live worker announces itself every few seconds, so their last announcements are almost of one moment.
    """
    now_s = time()
    ahead_s = {"this machine": 0.0, **{worker.said.name: worker.said.now_ms / 1000 - now_s for worker in live}}
    ranked = sorted(ahead_s.values())
    middle = {ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]}
    right_s = min(middle, key=abs)  # of two halves that of this machine
    off = [(name, found_s - right_s) for name, found_s in ahead_s.items() if abs(found_s - right_s) > TOLERANCE_S]
    why = "without message.timestamp.type=LogAppendTime the curves topic does not have Kafka's"
    if not off:
        most_s = max(abs(found_s - right_s) for found_s in ahead_s.values())
        return ok("clock", f"{_CLOCK} and of this machine are at most {most_s:.0f} s apart; {why}")
    others = "that of this machine" if len(ahead_s) == 2 else "most others"
    wrong = ", ".join(f"{name} is {abs(found_s):,.0f} s {_way(found_s)} {others}" for name, found_s in off)
    advice = f"{_NTP}, on both sides; or did that worker die?"
    return problem("clock", f"{_CLOCK} and of this machine differ: {wrong}; {why}", advice)


def _way(ahead_s: float) -> str:
    return "ahead of" if ahead_s > 0 else "behind"


def _date(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, OSError, ValueError):
        return f"{ms} ms since 1970"
