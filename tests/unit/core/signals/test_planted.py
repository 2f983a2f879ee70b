"""Pods, a bot and others planted into streams, with all that lies between an event and a fact."""

from pathlib import Path

import pytest

from stream_app.core.signals.facts import Signal
from tests.tools.signals.planted import Line, lines_of
from tests.tools.signals.plants import Pods
from tests.tools.signals.streams import Happened, of_crowds, of_demo, of_file

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
FILES = ["conferences", "enron-mail", "troll-tweets-2016-10"]


def _lines(stream: list[Happened], pods: Pods = Pods(), seed: int = 1) -> dict[str, Line]:  # noqa: B008
    return {line.signal: line for line in lines_of("stream", stream, pods, seed)}


def _assert_all_found(lines: dict[str, Line]) -> None:
    for signal in (Signal.SYNCHRONY, Signal.REGULAR, Signal.ONE_SIDED, Signal.AUDIENCE_JUMP, Signal.ALWAYS_ON):
        assert lines[signal].marked == lines[signal].of > 0, signal
    assert not any(line.person for line in lines.values()), "a person with 30 videos looks like one"
    assert lines[Signal.SYNCHRONY].others_marked <= 0.01 * lines[Signal.SYNCHRONY].others


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("accounts", [5, 10, 30])
def test_pods_and_a_bot_in_the_demo_stream_are_all_marked(accounts: int, seed: int) -> None:
    _assert_all_found(_lines(of_demo(1000, 7), Pods(accounts=accounts), seed))


def test_pods_beside_crowds_are_all_marked_and_crowds_are_not() -> None:
    lines = _lines(of_crowds(5, authors=30, posts=200, users=5000))
    assert lines[Signal.SYNCHRONY].marked == lines[Signal.SYNCHRONY].of
    assert lines[Signal.SYNCHRONY].others_marked <= 0.001 * lines[Signal.SYNCHRONY].others


@pytest.mark.parametrize(("jitter_s", "least", "most"), [(60, 199, 200), (120, 190, 200), (300, 50, 110)])
def test_a_pod_that_takes_its_time_is_found_less_often(jitter_s: int, least: int, most: int) -> None:
    assert least <= _lines(of_demo(1000, 7), Pods(jitter_s=jitter_s))[Signal.SYNCHRONY].marked <= most


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared")
@pytest.mark.parametrize("name", FILES)
def test_pods_and_a_bot_in_recorded_events_are_all_marked(name: str) -> None:
    _assert_all_found(_lines(of_file(DATA / f"{name}.jsonl.gz")))
