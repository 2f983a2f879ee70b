"""The targets: a function each, which is given a source of chance, tries one input, and fails where something is wrong.

To add one: write a function that takes a `Random`, and name it in TARGETS.
"""

from collections.abc import Callable
from random import Random

from tests.fuzz.batches import codecs, counted_batches, scanned_batches
from tests.fuzz.messages import (
    addition_records,
    alert_records,
    erasure_records,
    flag_records,
    internal_records,
    segment_records,
)

TARGETS: dict[str, Callable[[Random], None]] = {
    "batches": counted_batches,
    "commands": scanned_batches,
    "codecs": codecs,
    "internal": internal_records,
    "additions": addition_records,
    "segments": segment_records,
    "erasures": erasure_records,
    "flags": flag_records,
    "alerts": alert_records,
}
