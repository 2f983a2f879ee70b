"""The verifier: what a tracker has made of the contents, read from Kafka, held against what must come of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.messages import Cut, Flag, FlagType
from stream_app.core.state.ledger import Ledger
from stream_app.kafka.clients import open_consumer
from stream_app.kafka.topic_scan import partitions_of, read, spans
from stream_app.kafka.topics import changelogs_of
from stream_app.settings import Settings
from tests.proof.contents import Contents, Cuts, Totals
from tests.servers.changelogs import compacted
from tests.servers.tracker import Seen

_SHOWN = 5
_ORIGIN = [f"__streams.errors.{name}" for name in ("topic", "partition", "offset")]
_FOLLOWS: Mapping[FlagType, set[FlagType | None]] = {
    FlagType.EMERGING: {None, FlagType.LEFT},
    FlagType.ENTERED: {None, FlagType.LEFT, FlagType.EMERGING, FlagType.FADING},
    FlagType.FADING: {FlagType.ENTERED},
    FlagType.LEFT: {FlagType.EMERGING, FlagType.FADING, FlagType.ENTERED},
}
"""Which flag a flag may come after, for the same user, topic and role."""


class Verdict(NamedTuple):
    """What was found wrong, in sentences; empty where all is exact."""

    lost: int
    """Events that should be counted and are not."""
    twice: int
    """Counted too often."""
    wrong: list[str]
    figures: Mapping[str, int]


def verdict(settings: Settings, seen: Seen, contents: Contents, *, set_aside: bool = True) -> Verdict:
    """Compare everything: counters, ledgers, cuts, standings, flags, and (`set_aside`) dead letters and late events.

    `seen` is all there is on the topics of the tracker, once it has come to rest.
    """
    stored = everything(settings, changelogs_of(settings)[0])
    totals = ledger_totals(settings, stored)
    lost, twice = differences(totals, contents.totals)
    wrong = [
        *_counters(settings, seen, contents),
        *_unequal("ledger", totals, contents.totals),
        *_unequal("cut", cuts_of(seen), contents.cuts(settings.share)),
        *_standings(settings, seen, contents),
        *_flags(settings, seen),
        *(_dead_letters(settings, seen, contents) if set_aside else ()),
    ]
    flags = [flag.flag_id for flag in flags_of(settings, seen)]
    figures = {"flags": len(set(flags)), "flags_repeated": len(flags) - len(set(flags)), "rows": len(totals)}
    return Verdict(lost, twice, wrong, figures)


def everything(settings: Settings, topic: str) -> list[Any]:
    """All records of a topic."""
    with open_consumer(settings) as reader:
        return list(read(reader, spans(reader, partitions_of(reader, [topic]))))


def ledger_totals(settings: Settings, log: Iterable[Any]) -> Totals:
    """Posts and impressions of everybody, as a new owner would restore them from the log of segments."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    owned = [
        LedgerStore(
            number, Ledger(settings.pane_ms, settings.panes, settings.short_panes), segments, lambda _key, _value: None
        )
        for number, segments in compacted(log, settings.partitions).items()
    ]
    newest_ms = max(source.watermark for store in owned for source in store.ledger.sources.values())
    for store in owned:
        ledger = store.ledger
        ledger.advance(newest_ms)
        scopes, users = ledger.scopes.names(), ledger.users.names
        rows = zip(ledger.rows.scopes.tolist(), ledger.rows.users.tolist(), *ledger.rows.totals.tolist(), strict=True)
        for scope, user, posts, impressions in rows:
            if posts or impressions:
                key = (scopes[scope].topic, users[user])
                before = found.get(key, (0, 0))  # of another partition: then it is counted twice
                found[key] = (before[0] + posts, before[1] + impressions)
    return found


def differences(found: Totals, expected: Totals) -> tuple[int, int]:
    """Posts lost, and posts counted too often, in all; of what has no posts, one for each wrong sum of impressions."""
    lost = twice = 0
    for key in {*found, *expected}:
        (posts, impressions), (true_posts, true_impressions) = found.get(key, (0, 0)), expected.get(key, (0, 0))
        lost += max(true_posts - posts, int(posts == true_posts and impressions < true_impressions), 0)
        twice += max(posts - true_posts, int(posts == true_posts and impressions > true_impressions), 0)
    return lost, twice


def cuts_of(seen: Seen) -> Cuts:
    """The cuts that were published last."""
    return {scope: (cut.users, cut.total, cut.k, cut.threshold, cut.ties) for scope, cut in seen.cuts.items()}


def flags_of(settings: Settings, seen: Seen) -> list[Flag]:
    """Every flag that was sent, repeats included."""
    return [msgspec.json.decode(record.value, type=Flag) for record in seen.records.get(settings.flags_topic, ())]


def _counters(settings: Settings, seen: Seen, contents: Contents) -> Iterable[str]:
    counted = {name: seen.total(name) for name in contents.results}
    if counted != contents.results:
        yield f"counted {counted} instead of {dict(contents.results)}"
    yield from seen.regressions


def _unequal(what: str, found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Iterable[str]:
    wrong = [key for key in {*found, *expected} if found.get(key) != expected.get(key)]
    for key in sorted(wrong)[:_SHOWN]:
        yield f"{what} of {key}: {found.get(key)} instead of {expected.get(key)}"
    if len(wrong) > _SHOWN:
        yield f"… and {len(wrong) - _SHOWN} more of {what}"


def _standings(settings: Settings, seen: Seen, contents: Contents) -> Iterable[str]:
    """Who is over θ is entered; who is entered is above ρ·θ; and the flag of every standing was sent."""
    standing = standings_of(settings, seen)
    sent = {flag.flag_id for flag in flags_of(settings, seen)}
    yield from (f"the flag of {key} was never sent" for key, flag in standing.items() if flag.flag_id not in sent)
    entered = {key for key, flag in standing.items() if flag.type is FlagType.ENTERED}
    for scope, cut in seen.cuts.items():
        floor = settings.min_posts if scope[1] == "maven" else settings.min_impressions
        over, near = _ranked(contents.totals, scope, cut, floor, settings)
        found = {user for user, topic, role in entered if (topic, role) == scope}
        yield from (f"{user} is over θ of {scope} and not entered" for user in sorted(over - found)[:_SHOWN])
        yield from (f"{user} is entered in {scope} below ρ·θ" for user in sorted(found - near)[:_SHOWN])


def _ranked(
    totals: Totals, scope: tuple[str, str], cut: Cut, floor: int, settings: Settings
) -> tuple[set[str], set[str]]:
    """Users over θ beyond doubt, and users above the line below which a standing fades."""
    if cut.diffuse or cut.users < settings.min_users:
        return set(), set()
    role = int(scope[1] == "connector")
    values = {user: made[role] for (topic, user), made in totals.items() if topic == scope[0] and made[role] >= floor}
    over = {user for user, value in values.items() if value > cut.threshold}
    return over, {user for user, value in values.items() if value >= settings.leave_ratio * cut.threshold}


def standings_of(settings: Settings, seen: Seen) -> dict[tuple[str, str, str], Flag]:
    """The present standings, by user, topic and role."""
    last = {record.key: record.value for record in seen.records.get(settings.standings_topic, ())}
    flags = [msgspec.json.decode(value, type=Flag) for value in last.values() if value is not None]
    return {(flag.user_id, flag.topic, flag.role.value): flag for flag in flags}


def _flags(settings: Settings, seen: Seen) -> Iterable[str]:
    """A flag comes after one that it may come after; a repeat is the same in everything that both releases say."""
    known: dict[str, dict[str, object]] = {}
    last: dict[tuple[str, str, str], FlagType] = {}
    wrong: Counter[str] = Counter()
    for record in seen.records.get(settings.flags_topic, ()):
        flag, said = msgspec.json.decode(record.value, type=Flag), msgspec.json.decode(record.value)
        if (first := known.setdefault(flag.flag_id, said)) is not said:
            both = first.keys() & said.keys()
            wrong["a repeated flag says something else"] += any(first[name] != said[name] for name in both)
            continue
        key = (flag.user_id, flag.topic, flag.role.value)
        before = last.get(key)
        if before not in _FOLLOWS[flag.type]:
            wrong[f"{flag.type} came after {before}, as with {key}"] += 1
        last[key] = flag.type
    yield from (f"{what} ({count} times)" for what, count in wrong.most_common(_SHOWN) if count)


def _dead_letters(settings: Settings, seen: Seen, contents: Contents) -> Iterable[str]:
    """Every record that cannot be counted is set aside as it came; a crash may set it aside twice."""
    for topic, expected in (
        (settings.dead_letters_topic, contents.results["rejected"]),
        (settings.late_topic, contents.results["late"]),
    ):
        found = dead_letters_of(seen, topic)
        if len(found) != expected:
            yield f"{len(found)} records on {topic} instead of {expected}"
    known = Counter((record.key, record.value) for record in contents.rejected)
    set_aside = Counter(dead_letters_of(seen, settings.dead_letters_topic).values())
    if known != set_aside:
        changed = (set_aside - known).total()
        yield f"{changed} dead letters are not byte-identical to what was rejected"


def dead_letters_of(seen: Seen, topic: str) -> dict[tuple[bytes, ...], tuple[bytes | None, bytes | None]]:
    """Key and value of what was set aside on a topic, by origin."""
    found = {}
    for record in seen.records.get(topic, ()):
        headers = dict(record.headers)
        found[tuple(headers[name] for name in _ORIGIN)] = (record.key, record.value)
    return found
