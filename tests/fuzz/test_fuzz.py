"""Twenty seconds of random inputs for everything that reads what others write; the seeds are new in every run."""

import logging
import time
from collections.abc import Iterator

import pytest

from tests.fuzz.run import run
from tests.fuzz.targets import TARGETS

SECONDS = 20.0


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Everything that is left out is logged."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_ends_a_reader_or_makes_it_count_wrongly(name: str) -> None:
    assert run(name, TARGETS[name], time.time_ns() // 1_000_000, SECONDS / len(TARGETS)) > 0
