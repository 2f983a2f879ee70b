"""The progress of the benchmark: a bar on a terminal, a line for each step elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

OnProgress = Callable[[str, int, int], None]
"""Called with the step, how much of it is done, and of how much; 0 where that is unknown."""


@contextmanager
def shown(out: Console) -> Iterator[OnProgress]:
    """Show the steps for the length of the block; yields the function to call with them."""
    if not out.is_terminal:
        yield _Lines(out).show
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("starting Kafka and Redis", total=None)

        def show(step: str, done: int, total: int) -> None:
            if bar.tasks[0].description != step:
                bar.reset(task)
            bar.update(task, description=step, completed=done, total=total or None)

        yield show


class _Lines:
    """One line for each step."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._step = ""

    def show(self, step: str, _done: int, _total: int) -> None:
        if step != self._step:
            self._step = step
            self._out.print(f"{step} …")
