"""Plays many seeds: `python -m tests.simulation --seeds 5000 --start 0`. Exit status 1 where one fails."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TextIO, get_args

from tests.simulation.plan import Zombies, plan_of
from tests.simulation.run import Run, failure_of

_REPORTED_EVERY_S = 5.0


def main() -> int:
    """Play the seeds asked for; returns the exit status."""
    asked = _asked()
    seeds = range(asked.start, asked.start + asked.seeds)
    if asked.verbose:
        return _play_aloud(seeds, asked.zombies)
    begun, reported, failed = time.monotonic(), 0.0, []
    for number, (seed, report) in enumerate(_played(seeds, asked.zombies, asked.jobs), start=1):
        if report:
            failed.append(seed)
            _say(report if asked.reports else f"seed {seed}: {report.splitlines()[-1]}")
        if number == len(seeds) or time.monotonic() - reported > _REPORTED_EVERY_S:
            reported = time.monotonic()
            _say(f"{number} of {len(seeds)} seeds in {reported - begun:.0f} s, {len(failed)} failed", sys.stderr)
    if failed:
        _say(f"failed: {' '.join(map(str, failed))}; see one with --start {failed[0]} --seeds 1 --verbose")
    return 1 if failed else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--start", type=int, default=0, help="the first one (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time (one per core)")
    parser.add_argument("--reports", action="store_true", help="print all that happened in a seed that fails")
    parser.add_argument("--verbose", action="store_true", help="print all that happens in every seed")
    parser.add_argument(
        "--zombies",
        choices=get_args(Zombies),
        default="all",
        help="workers that go on after the group has given them up: none; check the counts only; check all (all)",
    )
    return parser.parse_args()


def _played(seeds: range, zombies: Zombies, jobs: int) -> Iterator[tuple[int, str]]:
    with ProcessPoolExecutor(jobs) as pool:
        yield from zip(
            seeds, pool.map(failure_of, map(partial(plan_of, zombies=zombies), seeds), chunksize=5), strict=True
        )


def _play_aloud(seeds: range, zombies: Zombies) -> int:
    failed = 0
    for seed in seeds:
        run = Run(plan_of(seed, zombies))
        failed += bool(run.play())
        _say(run.report())
    return 1 if failed else 0


def _say(text: str, where: TextIO = sys.stdout) -> None:
    print(text, file=where, flush=True)


if __name__ == "__main__":
    sys.exit(main())
