"""What must hold when everything has come to rest, each worked out without the tracker's own code."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stream_app.core.changelog import status
from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.status import Status
from stream_app.core.events.schema import Post
from stream_app.core.messages import ROLES, Cut, Flag, FlagType, Role
from stream_app.core.state.ledger import Ledger
from stream_app.kafka.topics import changelogs_of
from tests.naive import NaiveCut, Totals, identity_of, ms_of, naive_cut, naive_people, naive_topics
from tests.simulation import credit_verdict, funnel_verdict, step_verdict
from tests.simulation.broker import Place
from tests.simulation.feed import PANE_MS, Fate, expected
from tests.simulation.plan import DWELL_S, PANES
from tests.unit.core.streams import totals_of

if TYPE_CHECKING:
    from tests.simulation.run import Run

Scope = tuple[str, str]
"""Population and topic."""
_NEXT = {
    FlagType.LEFT: {FlagType.EMERGING, FlagType.ENTERED},
    FlagType.EMERGING: {FlagType.ENTERED, FlagType.LEFT},
    FlagType.ENTERED: {FlagType.FADING, FlagType.LEFT},
    FlagType.FADING: {FlagType.ENTERED, FlagType.LEFT},
}
_COUNTERS = ("applied", "duplicate", "late", "rejected")


def unrest(run: "Run") -> list[str]:
    """Why it is too early to judge: inputs not counted to their ends, workers in a rebalance, partitions without owner.

    In a rebalance a worker keeps what it owned: Faust may take long to hand it the assignment that takes it away.
    """
    found = []
    for (topic, partition), records in run.feed.produced.items():
        source = run.sources(partition).get(topic)
        if (source.position if source else 0) != len(records):
            found.append(f"{topic}-{partition} at {source.position if source else 0} of {len(records)}")
    for partition, count in run.feed.retractions.items():
        source = run.sources(partition).get(run.plan.settings.retractions_topic)
        if (source.position if source else 0) != count:
            found.append(f"retractions of {partition} at {source.position if source else 0} of {count}")
    found += credit_verdict.unread(run)
    live = run.live()
    found += [f"{worker.name} is in a rebalance" for worker in live if not worker.engine.health.recovered]
    for worker in live:
        homes = worker.engine.context.homes
        found += [f"{worker.name} waits for the home {home}" for home in homes.epochs() if not homes.is_complete(home)]
    for partition in range(run.plan.settings.partitions):
        owners = [worker.name for worker in live if partition in worker.engine.owned]
        if len(owners) != 1:
            found.append(f"partition {partition} is owned by {', '.join(owners) or 'nobody'}")
    return found


def problems(run: "Run") -> list[str]:
    """Everything that is not as it must be."""
    found = [*_counts(run), *_counters(run), *_dead_letters(run)]
    found += [*credit_verdict.wrong(run), *funnel_verdict.wrong(run), *step_verdict.wrong(run)]
    if run.plan.strict:
        found += [*_statuses(run), *_cuts(run), *_flags(run), *_sequences(run), *_standings(run)]
    return found


def naive_totals(run: "Run", end_ms: int) -> Totals:
    """What every user of every scope made in the window that ends with the pane of `end_ms`."""
    first_pane = end_ms // PANE_MS - PANES + 1
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for place, records in run.feed.produced.items():
        for record, outcome in zip(records, expected(records, run.gone.get(place, [])), strict=True):
            event = record.event
            if outcome != "applied" or event is None or ms_of(event) // PANE_MS < first_pane:
                continue
            if identity_of(event) in run.feed.retracted:
                continue
            people = naive_people(event) or 0
            for topic in naive_topics(event):
                made = sums[event.population or "all", topic, str(event.user_id)]
                made[0] += isinstance(event, Post)
                made[1] += people
                made[2] += people**2
    return {key: (made[0], made[1], made[2]) for key, made in sums.items() if made[0] or made[1]}


def _counts(run: "Run") -> Iterator[str]:
    wanted = naive_totals(run, run.feed.newest_ms)
    restored: Totals = {}
    for partition in range(run.plan.settings.partitions):
        table = run.broker.logs[changelogs_of(run.plan.settings)[0], partition].table()
        ledger = Ledger(run.plan.settings.pane_ms, PANES, run.plan.settings.short_panes)
        LedgerStore(partition, ledger, table, lambda _key, _value: None)
        ledger.advance(run.feed.newest_ms)
        restored |= totals_of(ledger)
    yield from _difference("restored from the log", wanted, restored)
    live: Totals = {}
    for worker in run.live():
        for owned in worker.engine.owned.values():
            live |= totals_of(owned.store.ledger)
    yield from _difference("in memory", wanted, live)


def _difference(where: str, wanted: Totals, found: Totals) -> Iterator[str]:
    for key in sorted({*wanted, *found}):
        if wanted.get(key) != found.get(key):
            yield f"{where}: {key} is {found.get(key)}, must be {wanted.get(key)}"


def _counters(run: "Run") -> Iterator[str]:
    for (topic, partition), records in run.feed.produced.items():
        gone = run.gone.get((topic, partition), [])
        outcomes = Counter(expected(records, gone))
        source = run.sources(partition).get(topic)
        found = {name: getattr(source, name) if source else 0 for name in _COUNTERS}
        found["applied"] += source.retracted if source else 0  # whether it came before its retraction is not known
        wanted = {name: outcomes[name] for name in _COUNTERS}
        if found != wanted:
            yield f"{topic}-{partition} has {found}, must have {wanted}; gone: {gone}"
        start = run.broker.logs[topic, partition].start
        if false := [gap for gap in gone if gap.stop > start]:
            yield f"{topic}-{partition} begins at {start}, reported as gone: {false}"


def _dead_letters(run: "Run") -> Iterator[str]:
    settings = run.plan.settings
    for fate, topic_of_fate in ((Fate.REJECTED, settings.dead_letters_topic), (Fate.LATE, settings.late_topic)):
        found: dict[tuple[str, int, int], tuple[bytes | None, bytes | None]] = {}
        for (topic, _), log in run.broker.logs.items():
            for record in log.records() if topic == topic_of_fate else ():
                origin = {name.removeprefix("__streams.errors."): value.decode() for name, value in record.headers}
                if origin["topic"] != settings.retractions_topic:  # which may be late or not: it changes nothing
                    found[origin["topic"], int(origin["partition"]), int(origin["offset"])] = (record.key, record.value)
        wanted = {
            (*place, offset): (record.key, record.value)
            for place, records in run.feed.produced.items()
            for offset, record in enumerate(records)
            if record.fate is fate
        }
        lost = {(*place, offset) for place, gaps in run.gone.items() for gap in gaps for offset in gap}
        for where in sorted({*wanted} - {*found} - lost):
            yield f"{topic_of_fate} misses the record {where}"
        for where in sorted({*found} - {*wanted}):
            yield f"{topic_of_fate} has the record {where}, which is not {fate.value}"
        for where in sorted({*found} & {*wanted}):
            if found[where] != wanted[where]:
                yield f"{topic_of_fate} has {where} as {found[where]}, it was {wanted[where]}"


def _statuses(run: "Run") -> Iterator[str]:
    """Published counters never go back; late statuses of a former owner are ignored."""
    last: dict[int, Status] = {}
    for record in run.statuses:
        former = dict(last)
        status.read_into(last, record.key, record.value)
        for partition, before in former.items():
            for topic, source in before.sources.items():
                now = last[partition].sources.get(topic)
                if now is None or now.position < source.position or now.read < source.read:
                    yield f"published for {topic}-{partition}: {source}, then {now}"


def _values(totals: Totals) -> dict[tuple[Scope, int], dict[str, int]]:
    values: dict[tuple[Scope, int], dict[str, int]] = defaultdict(dict)
    for (population, topic, user), made in totals.items():
        for role in (0, 1):
            if made[role]:
                values[(population, topic), role][user] = made[role]
    return values


def _cuts_of(totals: Totals, share: float) -> dict[tuple[Scope, int], NaiveCut]:
    found = {key: naive_cut(values.values(), share) for key, values in _values(totals).items()}
    return {key: cut for key, cut in found.items() if cut}


def _cuts(run: "Run") -> Iterator[str]:
    settings = run.plan.settings
    wanted = {
        (scope[1], scope[0], str(ROLES[role])): (cut.users, cut.total, cut.k, cut.threshold, cut.ties)
        for (scope, role), cut in _cuts_of(naive_totals(run, run.feed.newest_ms), settings.share).items()
    }
    wanted |= credit_verdict.cuts(run)
    found = {}
    for key, value in run.broker.logs[settings.cuts_topic, 0].table().items():
        cut = msgspec.json.decode(value, type=Cut)
        found[tuple(msgspec.json.decode(key))] = (cut.users, cut.total, cut.k, cut.threshold, cut.ties)
    # A scope that lost its last user while its bucket moved keeps its cut: the new publisher does not know of it.
    left_over = {*found} if len(run.workers) == 1 else set()
    for scope in sorted({*wanted} | left_over):
        if wanted.get(scope) != found.get(scope):
            yield f"the cut of {scope} is {found.get(scope)}, must be {wanted.get(scope)} (users, total, k, θ, ties)"


def _flags(run: "Run") -> Iterator[str]:
    """For every standing its flag was sent."""
    settings = run.plan.settings
    sent = {flag.flag_id for flag in _messages(run, settings.flags_topic)}
    for flag in _present(run):
        if flag.flag_id not in sent:
            yield f"the flag of a standing was never sent: {flag}"


def _sequences(run: "Run") -> Iterator[str]:
    """The flags of a user, repeats dropped, are steps from each standing to the next."""
    standings: dict[tuple[str, str, str, str], FlagType] = {}
    seen: set[str] = set()
    for flag in _messages(run, run.plan.settings.flags_topic):
        if flag.flag_id in seen:
            continue
        seen.add(flag.flag_id)
        who = (flag.population, flag.topic, flag.role, flag.user_id)
        before = standings.get(who, FlagType.LEFT)
        if flag.type not in _NEXT[before]:
            yield f"{who} is {flag.type} (rule {flag.rule}) after {before}: {flag.flag_id}"
        standings[who] = flag.type


def _standings(run: "Run") -> Iterator[str]:
    settings = run.plan.settings
    end_ms = run.feed.newest_ms
    standings = {((flag.population, flag.topic), ROLES.index(flag.role), flag.user_id): flag for flag in _present(run)}
    then, now = _judged(run, end_ms - DWELL_S * 1000), _judged(run, end_ms)
    for who in sorted(now.above):
        flag = standings.get(who)
        if flag is None or flag.type is not FlagType.ENTERED:
            yield f"{who} is above θ and {flag.type if flag else 'has no standing'}"
    for who, flag in sorted(standings.items(), key=lambda item: item[0]):
        is_slow = flag.role is Role.RECRUITER  # decided when a pane ends, and corrected: later than the dwell time
        if flag.type is FlagType.ENTERED and who not in now.near | then.near and not is_slow:
            yield f"{who} is entered, but below ρ·θ for longer than the dwell time"
        if flag.type is FlagType.FADING and who not in now.halfway:
            yield f"{who} is fading, but below half of θ"
        if flag.type is FlagType.LEFT:
            yield f"{who} has left and is still there"
    assert settings.dwell_s == DWELL_S


Who = tuple[Scope, int, str]


class _Judged(NamedTuple):
    """Who is where, at a moment of event time."""

    near: set[Who]
    """Above ρ·θ in a scope that may be ranked."""
    halfway: set[Who]
    """Above half of θ in such a scope."""
    above: set[Who]
    """In the cut beyond doubt, in a scope that is ranked."""


def _judged(run: "Run", end_ms: int) -> _Judged:
    settings = run.plan.settings
    totals = naive_totals(run, end_ms)
    cuts, found = _cuts_of(totals, settings.share), _Judged(set(), set(), set())
    for (scope, role), values in _values(totals).items():
        cut = cuts[scope, role]
        floor = (settings.min_posts, settings.min_impressions)[role]
        if cut.users < settings.min_users / 2 or cut.k > settings.diffuse_fraction * 1.5 * cut.users:
            continue
        is_ranked = cut.users >= settings.min_users and cut.k <= settings.diffuse_fraction * cut.users
        for user, value in values.items():
            if value < floor:
                continue
            if value >= settings.leave_ratio * cut.threshold:
                found.near.add((scope, role, user))
            if value >= cut.threshold / 2:
                found.halfway.add((scope, role, user))
            if is_ranked and (value > cut.threshold or (value == cut.threshold and cut.ties == 1)):
                found.above.add((scope, role, user))
    return found


def _present(run: "Run") -> list[Flag]:
    """The standings as the topic has them, without those that a frozen owner has written after its successor."""
    found: dict[tuple[Place, bytes], Flag] = {}
    for place, log in run.broker.logs.items():
        for record in log.records() if place[0] == run.plan.settings.standings_topic else ():
            key = (place, record.key or b"")
            if record.value is None:
                found.pop(key, None)
                continue
            flag = msgspec.json.decode(record.value, type=Flag)
            if key not in found or found[key].detected_at <= flag.detected_at:
                found[key] = flag
    return list(found.values())


def _messages(run: "Run", topic: str) -> Iterator[Flag]:
    places: list[Place] = [place for place in run.broker.logs if place[0] == topic]
    for place in places:
        for record in run.broker.logs[place].records():
            yield msgspec.json.decode(record.value or b"", type=Flag)
