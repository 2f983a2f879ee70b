"""One run of a migration, from start to end. It can be killed at any moment and run again."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from stream_app.kafka.topic_scan import OnProgress
from stream_app.ops.migrate.equality import Comparison, compare
from stream_app.ops.migrate.handover import copy_standings, copy_watermark
from stream_app.ops.migrate.input_copy import CopyReport, copy_inputs
from stream_app.ops.migrate.migration_plan import MigrationPlan, create_target_topics
from stream_app.ops.migrate.target import counting_only
from stream_app.settings import Settings

IsAlive = Callable[[], object]
"""Raises where a worker has failed for good."""

StartWorkers = Callable[[Settings], AbstractContextManager[IsAlive]]
"""Workers with these settings, for the length of a block."""

OnStep = Callable[[str], AbstractContextManager[OnProgress]]
"""Called at the start of a step, with its name."""


class MigrationReport(NamedTuple):
    """What a run has done."""

    created: list[str]
    copy: CopyReport
    comparison: Comparison
    standings: int | None
    """Standings that the new tracker has; None where they were not copied, because nothing can be switched yet."""

    @property
    def is_done(self) -> bool:
        """Whether the new tracker can take over."""
        return self.standings is not None


def run_migration(plan: MigrationPlan, start_workers: StartWorkers, on_step: OnStep) -> MigrationReport:
    """Copy, count, compare; hand over if the old tracker has stopped and all is equal. Raises KafkaOperationError."""
    created = create_target_topics(plan)
    with on_step("copying the inputs") as progress:
        copy = copy_inputs(plan, progress)
    copy_watermark(plan)
    with on_step("counting the copy") as progress, start_workers(counting_only(plan.after)) as is_alive:
        comparison = compare(plan, copy.set_aside, progress, is_alive)
    standings = copy_standings(plan) if comparison.is_equal else None
    return MigrationReport(created, copy, comparison, standings)
