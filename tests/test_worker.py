"""The worker as a process: what it leaves behind when it is told to end."""

from pathlib import Path

import msgspec
import pytest
import redis

from stream_app.core.messages import Flag
from stream_app.local.replay import replay
from tests.engine.tracker import Seen, following, tracker, variables
from tests.erasing import load

pytestmark = [pytest.mark.broker, pytest.mark.timeout(100)]

RECORDS = 2000
WAIT_S = 40.0


def flag_ids(seen: Seen) -> set[str]:
    records = seen.records.get(seen.settings.flags_topic, ())
    return {msgspec.json.decode(record.value, type=Flag).flag_id for record in records}


def test_a_worker_that_is_told_to_end_leaves_no_flag_out_of_redis(brokers: str, redis_url: str, tmp_path: Path) -> None:
    given = {"redis_url": redis_url, "redis_prefix": "ending", "redis_refresh_s": "1h", "partitions": "1"}
    environment = variables(brokers, "ending", **given, window_s="24h", tick_s="100ms", min_users="1")
    with tracker(environment, tmp_path, workers=1) as run:
        with following(run, run.settings.curves_topic, run.settings.flags_topic) as follower:
            replay(load.made("r").records[:RECORDS], brokers, run.settings)
            follower.until_read(RECORDS, WAIT_S)
            follower.until(lambda seen: len(flag_ids(seen)) > 0, "a flag", WAIT_S)
            run.stop()
            on_kafka = flag_ids(follower.drain())
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            on_redis = {fields["flag_id"] for _, fields in client.xrange("ending:flags")}
    assert run.workers[0].process.returncode == 0
    assert on_kafka <= on_redis
