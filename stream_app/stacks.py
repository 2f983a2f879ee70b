"""What every thread of this process is doing: where one that seems to stand still is. Places in the code, no values."""

import sys
import threading
import traceback
from collections.abc import Iterator
from typing import NamedTuple


class Stack(NamedTuple):
    """A thread, and what it is doing."""

    ident: int
    name: str
    text: str


def stacks() -> Iterator[Stack]:
    """Each thread's, this one's too."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the documented way to the stacks
        yield Stack(ident, names.get(ident, str(ident)), "".join(traceback.format_stack(frame)))
