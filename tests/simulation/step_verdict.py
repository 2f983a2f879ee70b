"""What must hold of synchrony: the evidence of each sharer is that of the credits on the topic, in their order."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.messages import ALL_TOPICS
from stream_app.core.signals.signal_limits import SignalLimits
from stream_app.core.signals.stored import step_packets
from stream_app.core.signals.stored.step_packets import ReadCredits, SentUntil
from stream_app.core.signals.stored.stored_arrays import unstored
from stream_app.core.state.ledger import Ledger
from stream_app.engine.influence.funnel_settings import funnel_settings_of
from stream_app.kafka.topics import changelogs_of
from tests.simulation.plan import PANES
from tests.unit.core.signals.naive_signals import naive_chance

if TYPE_CHECKING:
    from tests.simulation.run import Run

LIMITS = SignalLimits(disorder_ms=20_000, step_ms=5000, guard_ms=10_000, pace_ms=60_000, most_by_chance=0.95)
"""Those of production are longer than a run."""
Evidence = dict[tuple[int, int], tuple[int, ...]]
"""By partition and hash of the sharer: trials, how many were in step, how many would be, and the variance of that."""


class _Share(NamedTuple):
    ts_ms: int
    post: int
    sharer: int
    source: int


def wrong(run: "Run") -> Iterator[str]:
    """Sharers with other evidence than follows from the topic, unless credits of it were late, or are gone."""
    settings = run.plan.settings
    known = [run.sources(partition).get(settings.credits_topic) for partition in range(settings.partitions)]
    if any(source and source.late for source in known) or "retention" in run.plan.faults:
        return
    wanted, found = evidence_on_topic(run), _restored(run)
    for sharer in sorted(wanted.keys() | found.keys()):
        if wanted.get(sharer) != found.get(sharer):
            yield f"sharer {sharer} has evidence {found.get(sharer)}, must have {wanted.get(sharer)}"


def evidence_on_topic(run: "Run") -> Evidence:
    """The evidence that follows from the credits on the topic."""
    sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0] * 4)
    for partition in range(run.plan.settings.partitions):
        for share, numbers in _judged(run, partition):
            for place, number in enumerate(numbers):
                sums[share.source, share.sharer][place] += number
    return {sharer: tuple(numbers) for sharer, numbers in sums.items()}


def _judged(run: "Run", partition: int) -> Iterator[tuple[_Share, tuple[int, ...]]]:
    partitions = run.plan.settings.partitions
    seen, said, shares, ready_ms = set[int](), dict[int, int](), Counter[_Share](), -(2**60)
    for record in run.broker.logs[run.plan.settings.credits_topic, partition].records():
        packet = step_packets.decode(record.value or b"", partitions)
        if isinstance(packet, ReadCredits):
            for share, sign in _shares(packet, seen):
                if sign < 0 and shares[share]:
                    shares[share] -= 1
                if sign > 0 and share.ts_ms >= ready_ms:
                    shares[share] += 1
        elif isinstance(packet, SentUntil):
            said[packet.source] = max(packet.sent_ms, said.get(packet.source, 0))
            before_ms, reached_ms = ready_ms, min(said.values()) if len(said) == partitions else ready_ms
            ready_ms = max(ready_ms, (reached_ms - LIMITS.disorder_ms) // LIMITS.judge_ms * LIMITS.judge_ms)
            there = list(shares.elements())
            for share in there:
                if before_ms <= share.ts_ms + LIMITS.pace_ms < ready_ms and (trial := _trial(share, there)):
                    yield share, trial


def _shares(packet: ReadCredits, seen: set[int]) -> Iterator[tuple[_Share, int]]:
    """Shares in any topic of those credits whose ids were not seen."""
    credits_ = packet.credits
    columns = (credits_.scopes, credits_.ts_ms, credits_.posts, credits_.persons, credits_.shares, credits_.ids)
    for scope, ts_ms, post, person, sign, number in zip(*(column.tolist() for column in columns), strict=True):
        if number not in seen and sign and post and credits_.scope_names[scope].topic == ALL_TOPICS:
            yield _Share(ts_ms, post, person, packet.source), sign
        seen.add(number)


def _trial(one: _Share, shares: list[_Share]) -> tuple[int, ...] | None:
    same = [other for other in shares if other.post == one.post]
    p = naive_chance(one.ts_ms, [other.ts_ms for other in same], LIMITS)
    if p is None:
        return None
    in_step = any(abs(other.ts_ms - one.ts_ms) <= LIMITS.step_ms for other in same if other.sharer != one.sharer)
    return 1, int(in_step), round(1_000_000 * p), round(1_000_000 * p * (1 - p))


def _restored(run: "Run") -> Evidence:
    """The evidence as the next owner of each partition would find it."""
    settings, found = run.plan.settings, Evidence()
    for partition in range(settings.partitions):
        table = run.broker.logs[changelogs_of(settings)[0], partition].table()
        ledger = Ledger(settings.pane_ms, PANES, settings.short_panes)
        store = LedgerStore(partition, ledger, table, lambda _key, _value: None, funnel=funnel_settings_of(settings))
        stored = store.signals.signals.evidence.stored()
        columns = (unstored(column).tolist() for column in stored.sums)
        for sharer, *numbers in zip(unstored(stored.sharers, "<u8").tolist(), *columns, strict=True):
            found[partition, sharer] = tuple(numbers)
    return found
