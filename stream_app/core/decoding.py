"""Decoding what anybody may have written: what decoders raise, and limits of numbers and names in stored messages."""

from collections.abc import Iterable

import msgspec

DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Of msgspec; a RecursionError where the data are nested too deep."""

LARGEST = 2**60
"""Of a count, a sum or a time in a message between workers: sums of several stay far below 2^63."""
LONGEST_NAME = 1000
"""Characters of the name of a topic or population in such a message."""


def are_numbers(values: Iterable[int], least: int = 0) -> bool:
    """Return whether all of them are from `least` to LARGEST."""
    return all(least <= value <= LARGEST for value in values)
