"""Flags that the page is sent as they are raised: each once, and of a storm the last of each type."""

import re

from stream_app.core.messages import FlagType
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.push import page_updates
from tests.board_samples import a_flag
from tests.e2e.api.page_answers import PHONE, WAIT_S, Counting, running
from tests.unit.serving.api.flags.flags_topic import nobody


async def test_flags_are_handed_on_once_however_soon_after_them_somebody_comes(counting: Counting) -> None:
    log = FlagLog(nobody)
    log.begin({0: 0})
    sent: dict[str, bytes] = {"before": b"", "between": b""}
    async with running(counting, log) as shown:
        with shown.watching(PHONE) as before:
            await before.take(WAIT_S)
            for number in range(3):
                log.add(0, number, a_flag(flag_id=f"f{number}"), b"{}")
            with shown.watching(PHONE) as between:
                log.add(0, 3, a_flag(flag_id="f3"), b"{}")
                for name, watcher in (("before", before), ("between", between)):
                    while b"id: 4" not in sent[name]:
                        sent[name] += await watcher.take(WAIT_S)
    for found in sent.values():
        assert re.findall(rb"^id: (\d)", found, re.MULTILINE) == [b"1", b"2", b"3", b"4"]


async def test_in_a_storm_of_flags_only_the_last_are_handed_on(counting: Counting) -> None:
    log = FlagLog(nobody)
    log.begin({0: 0})
    async with running(counting, log) as shown:
        with shown.watching(PHONE) as watcher:
            await watcher.take(WAIT_S)
            for number in range(500):
                log.add(0, number, a_flag(flag_id=f"f{number}"), b"{}")
            found = b""
            while b"id: 500" not in found:
                found += await watcher.take(WAIT_S)
    assert found.count(b"event: flag") == page_updates.FLAGS


async def test_a_storm_of_one_type_does_not_sweep_the_flags_of_another_away(counting: Counting) -> None:
    log = FlagLog(nobody)
    log.begin({0: 0})
    async with running(counting, log) as shown:
        with shown.watching(PHONE) as watcher:
            await watcher.take(WAIT_S)
            log.add(0, 0, a_flag(flag_id="riser"), b"{}")
            for number in range(1, 500):
                log.add(0, number, a_flag(flag_id=f"f{number}", flag_type=FlagType.ENTERED), b"{}")
            found = b""
            while b"id: 500" not in found:
                found += await watcher.take(WAIT_S)
    assert re.findall(rb"^id: (\d+)", found, re.MULTILINE)[:2] == [b"1", b"471"]
