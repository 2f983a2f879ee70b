"""What is counted and by which rules, and how the pipeline is: answers about the tracker itself."""

import time
from collections.abc import Callable

from stream_app import __version__
from stream_app.core.flags.standing import RULES
from stream_app.core.queries import QueryableState
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.flags.quality_response import FlagQualities, qualities_of
from stream_app.serving.api.params import FlagFilter
from stream_app.serving.api.responses import About, Health
from stream_app.serving.api.scopes.throughput import Throughput
from stream_app.serving.http.probes import HealthCheck
from stream_app.settings import Settings

_HOUR_MS = 3_600_000


class Overview:
    """Answers about all of it."""

    def __init__(
        self,
        settings: Settings,
        state: QueryableState,
        flags: FlagLog,
        throughput: Throughput,
        worker: HealthCheck,
        redis_up: Callable[[], bool | None],
    ) -> None:
        """`redis_up`: whether Redis answers; None where there is none."""
        self._settings = settings
        self._state = state
        self._flags = flags
        self._throughput = throughput
        self._worker = worker
        self._redis_up = redis_up

    def about(self) -> About:
        """What is counted and by which rules."""
        chosen = self._settings
        return About(
            version=__version__,
            settings_version=chosen.version,
            share=chosen.share,
            window_s=chosen.window_s,
            pane_s=chosen.pane_s,
            short_s=chosen.short_s,
            min_users=chosen.min_users,
            min_posts=chosen.min_posts,
            min_impressions=chosen.min_impressions,
            min_recruits=chosen.min_recruits,
            leave_ratio=chosen.leave_ratio,
            emerging_door=chosen.emerging_door,
            diffuse_fraction=chosen.diffuse_fraction,
            emerging_z=chosen.emerging_z,
            emerging_horizon_s=chosen.emerging_horizon_s,
            population_sizes=chosen.population_sizes,
            min_group=chosen.min_group,
            individuals=chosen.individuals,
            rules={str(rule.number): rule.says for rule in RULES},
        )

    def flag_quality(self) -> FlagQualities:
        """How good the flags of the last day and week were."""
        return qualities_of(self._state.record.quality, self._flags.since(FlagFilter()))

    def health(self) -> Health:
        """The pipeline in one line."""
        statuses = self._state.statuses.values()
        every = [(topic, source) for status in statuses for topic, source in status.sources.items()]
        sources = [source for topic, source in every if topic in self._settings.input_topics]
        taken = [source for topic, source in every if topic == self._settings.retractions_topic]
        newest_ms = self._state.scopes.newest_ms if statuses else -1
        now_ms = time.time() * 1000
        return Health(
            live=self._worker.live()[0],
            ready=self._worker.ready()[0],
            events_per_s=round(self._throughput.per_s, 1),
            lag_records=sum(status.unread for status in statuses),
            delay_s=round((now_ms - newest_ms) / 1000, 1) if newest_ms >= 0 else None,
            event_time=newest_ms if newest_ms >= 0 else None,
            counting_since=self._state.counting_since,
            applied=sum(source.applied for source in sources),
            duplicate=sum(source.duplicate for source in sources),
            late=sum(source.late for source in sources),
            rejected=sum(source.rejected for source in sources),
            retracted=sum(source.retracted for source in sources) + sum(one.applied - one.unknown for one in taken),
            users=sum(status.users for status in statuses),
            partitions=len(statuses),
            partitions_expected=self._settings.partitions,
            workers=len({status.http for status in statuses}),
            flags_per_hour=self._flags.detected_since(int(now_ms) - _HOUR_MS),
            redis_up=self._redis_up(),
            releases=sorted({status.release for status in statuses}),
            settings_versions=sorted({status.settings for status in statuses if status.settings}),
        )
