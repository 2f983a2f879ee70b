"""`python -m tests.fuzz`: random inputs for everything that reads what others write; see `--help`."""

import argparse
import logging
import sys
import time

from tests.fuzz.run import once, run
from tests.fuzz.targets import TARGETS


def main() -> None:
    """Run the targets in turn."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="for all targets together (600)")
    parser.add_argument("--seed", type=int, default=None, help="the first seed (the time)")
    parser.add_argument("--count", type=int, default=0, help="try so many seeds instead, of each target")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="only these")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    first = time.time_ns() // 1_000_000 if asked.seed is None else asked.seed
    chosen = asked.target or list(TARGETS)
    for name in chosen:
        if asked.count:
            for seed in range(first, first + asked.count):
                once(name, TARGETS[name], seed)
            tried = asked.count
        else:
            tried = run(name, TARGETS[name], first, asked.seconds / len(chosen))
        sys.stdout.write(f"{name}: {tried:,} inputs from seed {first} on, nothing wrong\n")
        sys.stdout.flush()


main()
