"""Whether the new tracker has counted what the old one has: everything read, and every cut equal."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, NamedTuple

from stream_app.core.cuts.cut_news import AT_LEAST_EVERY_MS
from stream_app.core.queries.queryable_state import FEW_SCOPES
from stream_app.kafka.clients import open_consumer
from stream_app.kafka.topic_scan import partitions_of, spans
from stream_app.ops.migrate.migration_plan import MigrationPlan, not_settled
from stream_app.ops.migrate.published_curves import CutFigures, CutName, Figures, PublishedCurves

_LOOK_S = 0.5
_PATIENCE_S = AT_LEAST_EVERY_MS / 1000 + 10.0
"""With differences it waits so long after the last news: cuts of small topics may wait for a minute."""
_SHOWN = 5
_NONE = CutFigures(0, 0, 0, 0, 0, exact=True)

COUNTERS = ("applied", "duplicate", "late", "rejected", "retracted")


class Comparison(NamedTuple):
    """Old and new, side by side."""

    old: dict[str, int]
    new: dict[str, int]
    set_aside: int
    cuts: int
    """Cuts compared."""
    unsettled: str
    """Why the old counts are not final; empty where they are."""
    differences: list[str]

    @property
    def is_equal(self) -> bool:
        """Whether the counts are final, and no difference was found."""
        return not self.differences and not self.unsettled


def compare(
    plan: MigrationPlan, set_aside: int, on_progress: Callable[[int, int], None] | None, alive: Callable[[], object]
) -> Comparison:
    """Wait until the new workers have counted the copy, and compare. `alive` is called now and then.

    Where the old tracker still counts, its cuts move on: then only what was read is compared.
    Raises KafkaOperationError.
    """
    with open_consumer(plan.before) as consumer:
        old, new = PublishedCurves(plan.before, consumer), PublishedCurves(plan.after, consumer)
        old.refresh()
        unsettled = "its workers are running" if plan.workers else not_settled(plan.before, consumer, old)
        news_s = monotonic()
        while True:
            alive()
            if new.refresh():
                news_s = monotonic()
            found = _differences(plan, consumer, old, new, set_aside, is_settled=not unsettled)
            if on_progress is not None:
                on_progress(sum(getattr(new.counted, name) for name in COUNTERS), found.expected)
            if not found.problems or monotonic() - news_s > _PATIENCE_S:
                return Comparison(_counts(old), _counts(new), set_aside, found.cuts, unsettled, found.problems)
            sleep(_LOOK_S)


class _Found(NamedTuple):
    expected: int
    cuts: int
    problems: list[str]


def _differences(
    plan: MigrationPlan, consumer: Any, old: PublishedCurves, new: PublishedCurves, set_aside: int, *, is_settled: bool
) -> _Found:
    inputs = spans(consumer, partitions_of(consumer, plan.after.source_topics))
    expected = sum(span.end for span in inputs.values())
    counted = sum(getattr(new.counted, name) for name in COUNTERS)
    problems = [f"{left.end - left.start} records are not counted yet" for left in new.unread(inputs).values()]
    if counted != expected and not any(span.start for span in inputs.values()):
        problems.append(f"{counted} records were counted of {expected}")
    if not is_settled or problems:
        return _Found(expected, 0, problems)
    read = sum(getattr(old.counted, name) for name in COUNTERS)
    if plan.is_complete and read != counted + set_aside:
        problems.append(
            f"the old tracker has read {read} records, and the copy has {counted} and {set_aside} set aside"
        )
    if old.newest_ms != new.newest_ms:
        problems.append(f"event time has come to {new.newest_ms} instead of {old.newest_ms}")
    if old.users != new.users:
        problems.append(f"{new.users} users are in the window instead of {old.users}")
    own, others = _compared(old.figures(), new.figures(), plan.before.min_users)
    different = [name for name in sorted({*own, *others}) if not _same(own.get(name), others.get(name))]
    problems += [_shown(name, own.get(name), others.get(name)) for name in different[:_SHOWN]]
    if len(different) > _SHOWN:
        problems.append(f"and {len(different) - _SHOWN} more cuts")
    return _Found(expected, len({*own, *others}), problems)


def _compared(old: Figures, new: Figures, min_users: int) -> tuple[Figures, Figures]:
    """Return the cuts to compare: of many topics those whose users can be ranked, for others may be a minute old."""
    if len({name[:2] for name in old}) <= FEW_SCOPES:
        return old, new
    ranked = {name[:2] for name, cut in (*old.items(), *new.items()) if cut.users >= min_users}
    chosen = [{name: cut for name, cut in found.items() if name[:2] in ranked} for found in (old, new)]
    return chosen[0], chosen[1]


def _same(own: CutFigures | None, other: CutFigures | None) -> bool:
    """Whether two cuts are equal; one that was never exact is equal in its users and totals."""
    one, two = own or _NONE, other or _NONE
    return one == two or (not one.exact and one[:2] == two[:2])


def _shown(name: CutName, own: CutFigures | None, other: CutFigures | None) -> str:
    return f"the cut of {'/'.join(name)} is {tuple(other or _NONE)} instead of {tuple(own or _NONE)}"


def _counts(curves: PublishedCurves) -> dict[str, int]:
    return {**{name: getattr(curves.counted, name) for name in COUNTERS}, "users": curves.users}
