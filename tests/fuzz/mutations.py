"""Mutations: bytes and decoded messages, changed at random."""

from random import Random
from typing import Any

EXTREMES = (0, 1, -1, 127, 128, 255, 2**31 - 1, 2**31, -(2**31), 2**53, 2**62, 2**63 - 1, -(2**63), 2**64 - 1)
_TEXTS = ("", "\0", "\u202e", "a" * 5000, "ü" * 300, "\x1b[2J", "../..", "127.0.0.1:80/x", "user@host:1", "*")
_DEEP = 3000


def mutated_bytes(chance: Random, data: bytes) -> bytes:
    """The bytes with one to four changes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        size = chance.choice((1, 1, 1, 2, 4, 8, 50))
        match chance.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(changed):
                changed[at] = chance.choice((0, 1, 2, 0x7E, 0x7F, 0x80, 0xFE, 0xFF))
            case 2:
                changed[at:at] = chance.randbytes(size)
            case 3:
                del changed[at : at + size]
            case 4:
                changed[at:at] = changed[at : at + size] * chance.randint(1, 3)
            case _:
                changed[at : at + size] = b"\xff" * size
    return bytes(changed)


def mutated(chance: Random, value: Any) -> Any:
    """A decoded message with one of its parts replaced."""
    if isinstance(value, list | tuple) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        if chance.random() < 0.1:
            return [*value[:place], *value[place + 1 :]]
        return [*value[:place], mutated(chance, value[place]), *value[place + 1 :]]
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(list(value))
        return {**value, name: mutated(chance, value[name])}
    return chance.choice((number, text, data, nested, float_))(chance)


def number(chance: Random) -> int:
    """One at which something may overflow."""
    return chance.choice(EXTREMES)


def text(chance: Random) -> str:
    """One that nobody expects."""
    return chance.choice(_TEXTS)


def data(chance: Random) -> bytes:
    """Anything."""
    return chance.randbytes(chance.choice((0, 1, 7, 8, 64)))


def float_(chance: Random) -> float:
    """One that is no number, or hardly."""
    return chance.choice((0.5, -1.0, 1e308, float("inf"), float("-inf"), float("nan")))


def nested(chance: Random) -> Any:
    """A list in a list, and so on."""
    value: Any = []
    for _ in range(chance.choice((0, 1, 100))):
        value = [value]
    return value


def deep(kind: bytes, end: bytes = b"") -> bytes:
    """Far more levels than any reader allows."""
    return kind * _DEEP + end * _DEEP
