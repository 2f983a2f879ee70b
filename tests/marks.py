"""Which mark a test gets, from the fixtures and helpers that it uses: nobody writes `server` or `browser` by hand."""

from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import pytest

MARKS = {
    "unit": "needs nothing but Python: the default",
    "server": "starts Kafka, Redis, Prometheus, a worker or another process",
    "browser": "drives Chromium",
    "slow": "takes longer than the inner loop allows (written by hand, after `pytest --durations`)",
}

BROWSER = frozenset({"browser", "tab"})
"""Fixtures of tests/e2e/page that start Chromium."""

SERVER = frozenset(
    {
        *("brokers", "embedded_brokers", "apache_brokers", "redis_url"),
        *("embedded_broker", "embedded_redis", "apache_kafka", "secure_kafka", "redis_with_tls", "ValkeyServer"),
        *("kafka_server", "redis_server", "prometheus", "promtool", "alertmanager", "local_server"),
        *("tracker", "worker", "running", "Image", "Popen", "spawn"),
    }
)
"""Fixtures, context managers and classes that start a process."""


def mark_of(item: pytest.Function) -> str:
    """`unit`, `server` or `browser`."""
    if BROWSER.intersection(item.fixturenames):
        return "browser"
    if SERVER.intersection(_needs(item)):
        return "server"
    return "unit"


def _needs(item: pytest.Function) -> Iterator[str]:
    """The fixtures of a test, and the global names in it, in its fixtures and in the helpers of their modules."""
    definitions = item._fixtureinfo.name2fixturedefs
    for name, found in definitions.items():
        if found[-1].func.__module__.startswith("tests"):
            yield name
            yield from _globals_of(found[-1].func, set())
    yield from _globals_of(item.obj, set())


def _globals_of(function: Callable[..., Any], seen: set[str]) -> Iterator[str]:
    unwrapped = getattr(function, "__wrapped__", function)
    for name in _names_in(unwrapped.__code__):
        if name in seen:
            continue
        seen.add(name)
        yield name
        helper: Any = unwrapped.__globals__.get(name)
        if getattr(helper, "__module__", None) == unwrapped.__module__ and hasattr(helper, "__code__"):
            yield from _globals_of(helper, seen)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
