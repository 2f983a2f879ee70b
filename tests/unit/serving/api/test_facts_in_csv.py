"""A table has facts in words."""

import csv
import io

import msgspec

from stream_app.core.messages import Flag
from stream_app.core.signals.facts import Fact, Signal
from stream_app.serving.api.csv import as_csv
from tests.board_samples import a_flag


def test_facts_are_words_in_a_table() -> None:
    facts = [
        Fact(Signal.ONE_SIDED, 0.95, 0.9, 1200, {"distinct_posts": 3.0}),
        Fact(Signal.AUDIENCE_JUMP, 24.0, 1.5, 1),
    ]
    flags = [msgspec.structs.replace(a_flag(), signals=facts), a_flag()]
    marked, other = csv.DictReader(io.StringIO(as_csv(flags, Flag)))
    assert marked["signals"] == (
        "one-sided: 95 % of 1,200 shares credit one author, distinct posts 3; "
        "audience jump: the audience grew to 24.0 times the one before"
    )
    assert other["signals"] == ""
