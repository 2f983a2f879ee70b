"""Twenty seconds of random inputs for everything that reads what others write; new seeds are for `make fuzz`."""

import logging
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
    assert run(name, TARGETS[name], 0, SECONDS / len(TARGETS)) > 0
