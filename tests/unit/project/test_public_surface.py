"""What `from stream_app import …` offers: documented, typed, quick to import, and the same cut as a worker's."""

import doctest
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream_app
from stream_app import offline_cut
from stream_app.core.cuts.histogram import EXACT_USERS
from tests.naive import naive_cut

ROOT = Path(__file__).parents[3]
PROGRAM = """
from stream_app import Cut, Flag, FlagType, OfflineCut, Post, Role, Share, Undelivered, offline_cut

found: OfflineCut = offline_cut({"ann": 7, "bob": 3}, share=0.6)
events: list[Post | Share] = [Post(event_id=1, ts=1, user_id="ann"), Share(event_id=2, ts=2, user_id="bob")]
records: tuple[type[Cut], type[Flag], type[Undelivered]] = (Cut, Flag, Undelivered)
print(found.k, found.threshold, [event.user_id for event in events], len(records), FlagType.LEFT, Role.MAVEN)
"""


def in_a_process(program: str, *options: str) -> str:
    words = [sys.executable, *options, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert not done.returncode, done.stderr
    return done.stdout


def test_the_examples_in_the_docstring_are_true() -> None:
    assert doctest.testmod(stream_app).attempted >= 6
    assert doctest.testmod(stream_app).failed == 0


def test_every_public_name_exists_and_is_documented() -> None:
    documented = set(re.findall(r"`(\w+)`", (stream_app.__doc__ or "").partition(">>>")[0]))
    assert documented == {*stream_app.__all__}
    for name in stream_app.__all__:
        assert getattr(stream_app, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'Ledger'"):
        stream_app.Ledger  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = in_a_process("import sys, stream_app; print(*{name.split('.')[0] for name in sys.modules})").split()
    assert not {"click", "faust", "kafka", "msgspec", "numpy", "rich"} & {*loaded}


def test_a_program_that_uses_the_surface_runs_and_passes_mypy_strict(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    assert in_a_process(PROGRAM) == "1 7 ['ann', 'bob'] 3 left maven\n"
    words = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False, cwd=ROOT)
    assert not done.returncode, done.stdout + done.stderr


@given(st.lists(st.integers(0, 50) | st.integers(0, 10**9), max_size=60), st.sampled_from([0.5, 0.8, 0.9999]))
def test_the_offline_cut_is_that_of_the_definition(values: list[int], share: float) -> None:
    true = naive_cut(values, share)
    if true is None:
        with pytest.raises(ValueError, match="there is no cut"):
            offline_cut(values, share)
        return
    found = offline_cut({f"u{number}": value for number, value in enumerate(values)}, share)
    assert found == offline_cut(iter(values), share)
    exact = ("users", "total", "k", "threshold", "ties")
    assert [getattr(found, name) for name in exact] == [getattr(true, name) for name in exact]
    assert (found.coverage, found.gini) == pytest.approx((true.coverage, true.gini), abs=1e-9)


def test_the_offline_cut_is_exact_where_a_worker_would_bin() -> None:
    values = np.random.default_rng(5).lognormal(6, 2, 3 * EXACT_USERS).astype(np.int64)
    true, found = naive_cut(values.tolist(), 0.8), offline_cut(values)
    assert true is not None
    assert (found.k, found.threshold, found.ties, found.total) == (true.k, true.threshold, true.ties, true.total)
    assert found.gini == pytest.approx(true.gini, abs=1e-9)


@pytest.mark.parametrize("values", [[1.5, 2.0], [3, -1], ["7"], [True, False], [2**62, 2**62], [2**70], [[1], [2]]])
def test_values_that_are_no_counts_are_refused(values: Any) -> None:
    with pytest.raises(ValueError, match="integers from 0 on"):
        offline_cut(values)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_outside_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share must be above 0"):
        offline_cut([1, 2], share)
