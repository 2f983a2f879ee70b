"""The step log: in whichever batches records come, what is judged is the same, also of shares that come and go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.stored.credit_packets import joined_packets
from stream_app.core.messages import ALL_TOPICS, DEFAULT_POPULATION
from stream_app.core.signals.partition_signals import PartitionSignals
from stream_app.core.signals.stored.step_log import StepLog, read_steps
from stream_app.core.signals.stored.step_packets import ReadCredits, ReadTrials, SentUntil, decode
from stream_app.core.state.scopes import ScopeName

START_MS = 1_475_280_001_234
Read = ReadCredits | SentUntil


def share(sharer: int, sign: int, after_ms: int = 0) -> ReadCredits:
    """A credit for a share of the same post, or for one that is taken back."""
    one, zero, name = np.ones(1, np.int64), np.zeros(1, np.int64), ScopeName(DEFAULT_POPULATION, ALL_TOPICS)
    hashes = np.array([[sharer], [sharer], [7]], np.uint64)
    return ReadCredits(
        0, InfluenceCredits(["ann"], zero, [name], START_MS + after_ms * one, zero, sign * one, zero, *hashes)
    )


def log_of(*batches: list[Read]) -> StepLog:
    """A log that has taken these and knows that hours have gone by."""
    log = StepLog(PartitionSignals(), 0, 1)
    later: list[Read] = [SentUntil(0, START_MS + 9 * 3_600_000)]
    for batch in (*batches, later):
        credits_ = joined_packets([one.credits for one in batch if isinstance(one, ReadCredits)])
        log.receive(credits_, np.ones(len(credits_.ts_ms), np.bool_), read_steps(batch), 10_000)
    return log


def judged(*batches: list[Read]) -> dict[int, tuple[int, int]]:
    """Of each sharer: trials, and how many are in step."""
    packets = [decode(packet.value, 1) for packet in log_of(*batches).due(START_MS).packets]
    steps = [one.steps for one in packets if isinstance(one, ReadTrials)]
    return {
        sharer: (trials, in_step)
        for one in steps
        for sharer, trials, in_step in zip(*(column.tolist() for column in one[:3]), strict=True)
    }


def test_a_share_that_is_taken_back_is_none() -> None:
    assert judged([share(1, 1), share(2, 1)]) == {1: (1, 1), 2: (1, 1)}
    assert judged([share(1, 1), share(2, 1), share(2, -1)]) == {1: (1, 0)}


@pytest.mark.parametrize("signs", [(1, -1, 1), (1, 1, -1)])
def test_a_share_that_comes_and_goes_and_comes_again_is_one(signs: tuple[int, ...]) -> None:
    records: list[Read] = [share(2, sign) for sign in signs]
    expected = {1: (1, 1), 2: (1, 1)}
    assert judged([share(1, 1)], *([one] for one in records)) == expected
    assert judged([share(1, 1), *records]) == expected


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3)), max_size=8), st.data())
def test_batches_change_nothing(made: list[tuple[int, int]], data: st.DataObject) -> None:
    records: list[Read] = []
    held: list[tuple[int, int]] = []
    for sharer, after_s in made:
        is_held = (sharer, after_s) in held
        (held.remove if is_held else held.append)((sharer, after_s))
        records.append(share(sharer, -1 if is_held else 1, after_s * 6000))
    cut = data.draw(st.integers(0, len(records)))
    again = data.draw(st.integers(cut, len(records)))
    assert judged(records) == judged(records[:cut], records[cut:again], records[again:])
