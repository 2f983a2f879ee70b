"""The worker as a process: what it leaves behind when it is terminated, and how it keeps its memory."""

import re
import sys
from pathlib import Path

import msgspec
import pytest
import redis

from stream_app.core.messages import Flag
from stream_app.sources.replay import replay
from tests.e2e.erasure import load
from tests.servers.tracker import Seen, following, tracker, variables

pytestmark = pytest.mark.timeout(100)

RECORDS = 2000
WAIT_S = 40.0
AS_COMMAND = """
import json, os, sys
os.environ |= json.loads(sys.argv[1])
from stream_app.cli import main
main(["worker"])
"""
ARENA_BYTES = 64 << 20
"""A further arena of glibc: so much address space, at a multiple of it, of which the first part is in use."""
_MAPPED = re.compile(r"^(\w+)-(\w+) (\S+) \S+ \S+ 0\s*$", re.MULTILINE)


def flag_ids(seen: Seen) -> set[str]:
    records = seen.records.get(seen.settings.flags_topic, ())
    return {msgspec.json.decode(record.value, type=Flag).flag_id for record in records}


def test_a_worker_that_is_terminated_leaves_no_flag_out_of_redis(brokers: str, redis_url: str, tmp_path: Path) -> None:
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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_the_threads_of_a_worker_share_their_spare_memory(brokers: str, tmp_path: Path) -> None:
    """With an arena for each of its threads the same rows take up to a fifth more memory, differing from run to run."""
    environment = variables(brokers, "arenas", redis_url="", partitions="1", window_s="24h", tick_s="100ms")
    with tracker(environment, tmp_path, workers=0) as run:
        worker = run.start((sys.executable, "-c", AS_COMMAND))
        with following(run, run.settings.curves_topic) as follower:
            replay(load.made("r").records[:RECORDS], brokers, run.settings)
            follower.until_read(RECORDS, WAIT_S)
        process = Path(f"/proc/{worker.process.pid}")
        assert len(list((process / "task").iterdir())) > 1
        assert further_arenas((process / "maps").read_text()) == 0


def further_arenas(maps: str) -> int:
    regions = [(int(start, 16), int(end, 16), allowed) for start, end, allowed in _MAPPED.findall(maps)]
    return sum(
        start % ARENA_BYTES == 0 and allowed == "rw-p" and (end, start + ARENA_BYTES, "---p") in regions
        for start, end, allowed in regions
    )
