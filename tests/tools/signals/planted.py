"""Plants pods, a bot and others into streams, and prints who of them and of everybody else is marked, by signal.

`python -m tests.tools.signals.planted [FILE…] [--demo USERS] [--crowds]`; `--help` has what else can be planted. With
several jitters or seeds there is a line for each of them.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stream_app.core.signals.facts import Signal
from tests.tools.signals.plants import BOT, BOUGHT, PERSON, POD, SLEEPLESS, Pods, others_planted
from tests.tools.signals.run import Run, run
from tests.tools.signals.streams import Happened, of_crowds, of_demo, of_file

EXPECTED = {
    Signal.REGULAR: BOT,
    Signal.ONE_SIDED: BOT,
    Signal.SYNCHRONY: POD,
    Signal.AUDIENCE_JUMP: BOUGHT,
    Signal.ALWAYS_ON: SLEEPLESS,
}
"""Who is planted for which signal."""


class Line(NamedTuple):
    """How one signal did in one stream."""

    stream: str
    planted: str
    """How the pods were."""
    signal: str
    marked: int
    """Of those who were planted for it."""
    of: int
    person: bool
    """Whether the person with 30 own videos is marked."""
    others_marked: int
    others: int


def lines_of(name: str, stream: Sequence[Happened], pods: Pods, seed: int) -> list[Line]:
    """Plant into a stream, run it, and return a line for each signal."""
    planted = pods.planted(stream, seed)
    accounts = {one.user for one in planted}
    made = run(sorted([*stream, *planted, *others_planted(stream)]), seed=seed)
    how = f"{pods.pods} × {pods.accounts}, {pods.posts} posts, {pods.jitter_s:g} s, seed {seed}"
    return list(_lines(name, how + ", of others" * pods.of_others, made, accounts))


def _lines(name: str, how: str, made: Run, accounts: set[str]) -> Iterator[Line]:
    kinds = np.array([POD if user in accounts else user if user in _PLANTED else "" for user in made.users])
    for signal in made.marked:
        marked = made.marked[signal]
        wanted = kinds == EXPECTED.get(signal, "nobody")
        masks = (marked & wanted, wanted, marked & (kinds == ""), kinds == "")
        found, of, others_marked, others = (int(np.count_nonzero(mask)) for mask in masks)
        person = bool(marked[kinds == PERSON].any())
        yield Line(name, how, signal.value, found, of, person, others_marked, others)


_PLANTED = {BOT, PERSON, BOUGHT, SLEEPLESS}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--demo", type=int, default=0, metavar="USERS", help="also the demo stream")
    parser.add_argument("--crowds", action="store_true", help="also a stream of posts that go round")
    for name, default in (("pods", 20), ("accounts", 10), ("posts", 12)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--part", type=float, default=0.8)
    parser.add_argument("--jitter", type=float, nargs="+", default=[20.0], metavar="S")
    parser.add_argument("--of-others", action="store_true", help="pods share what others share too")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], metavar="N")
    parser.add_argument("--signal", help="only that one")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    streams = [(path.name.split(".")[0], of_file(path)) for path in given.files]
    streams += [("demo", of_demo(given.demo, 7))] if given.demo else []
    streams += [("crowds", of_crowds(5))] if given.crowds else []
    found = [
        line
        for name, stream in streams
        for jitter_s in given.jitter
        for seed in given.seeds
        for line in lines_of(
            name,
            stream,
            Pods(given.pods, given.accounts, given.posts, given.part, jitter_s, given.of_others),
            seed,
        )
        if given.signal in {None, line.signal}
    ]
    if given.json:
        print(json.dumps([line._asdict() for line in found], indent=1))
        return
    print("| stream | pods | signal | marked of planted | person | of others |")
    print("|" + " --- |" * 6)
    for line in found:
        part = f"{line.others_marked} of {line.others:,} ({100 * line.others_marked / max(line.others, 1):.2f} %)"
        planted = f"{line.marked} of {line.of}" if line.of else "–"
        print(f"| {line.stream} | {line.planted} | {line.signal} | {planted} | {'yes' * line.person or '–'} | {part} |")


if __name__ == "__main__":
    main()
