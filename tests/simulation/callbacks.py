"""The calls Faust makes to an engine in rebalances: noted alike in a real worker and in a simulated one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from stream_app.engine.engine import Engine

NAMES = {"on_revoked": "revoked", "on_assigned": "assigned", "on_rebalanced": "restored"}


class Callback(NamedTuple):
    """One call, and what the consumer says when it is made."""

    name: str
    partitions: list[int]
    """Of the inputs, assigned."""
    generation: int
    """Of the group; its order where it is canonical, 0 for none yet."""


@contextmanager
def noting(note: Callable[[Callback], None]) -> Iterator[None]:
    """Have every engine note its calls for the length of the block."""
    with ExitStack() as stack:
        for method, name in NAMES.items():
            stack.enter_context(patch.object(Engine, method, _noted(getattr(Engine, method), name, note)))
        yield


def _noted(call: Callable[..., Any], name: str, note: Callable[[Callback], None]) -> Callable[..., Any]:
    async def noted(engine: Engine, *args: Any, **kwargs: Any) -> None:
        inputs = {tp.partition for tp in engine.app.consumer.assignment() if tp.topic in engine.settings.input_topics}
        note(Callback(name, sorted(inputs), engine.app.consumer_generation_id))
        await call(engine, *args, **kwargs)

    return noted


def canonical(calls: Mapping[str, Sequence[Callback]]) -> dict[str, list[Callback]]:
    """The calls of each worker in the order of the workers, with what is chance taken out of them.

    Generations are numbered from 1, partitions so that those the first worker keeps come first.
    """
    assigned = [call for of_one in calls.values() for call in of_one if call.name == "assigned"]
    generations = sorted({call.generation for call in assigned})
    kept = min((call.partitions for call in next(iter(calls.values())) if call.name == "assigned"), key=len)
    order = sorted({partition for call in assigned for partition in call.partitions}, key=lambda p: (p not in kept, p))

    def plain(number: int, call: Callback) -> Callback:
        generation = generations.index(call.generation) + 1 if number else 0  # nothing is assigned before the first
        return Callback(call.name, sorted(map(order.index, call.partitions)), generation)

    return {worker: [plain(*numbered) for numbered in enumerate(of_one)] for worker, of_one in calls.items()}
