"""What `make prove` prints and writes: every promise with its figures, also those that broke or were not tried."""

import json
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

from rich.console import Console
from rich.table import Table

PROMISES: Mapping[int, str] = {
    0: "the verifier finds out an idiomatic Faust app in row 1",
    1: "SIGKILL of a random worker every 5 s under load",
    2: "all workers killed together, five times",
    3: "workers added and removed under load",
    4: "SIGTERM under load",
    5: "a worker frozen past its session wakes up again",
    6: "Kafka down; three nodes restarted in turn",
    7: "Redis down; Redis slow",
    8: "1 % of the records corrupt in every way",
    9: "a crash between every two steps of the flag outbox",
    10: "events of 1970 and of ten years ahead",
    11: "a partition, the agent or the commit frozen",
    12: "far more events than can be counted",
    13: "a cold start with a large state",
    14: "users come and go for hours",
    15: "what the previous release has written",
    16: "another number of partitions; topics deleted and made again",
    17: "rows 1 and 8 without the C extensions",
    18: "what is written is too large",
    19: "batches that unpack to far more",
    20: "names without end: topics, populations, long user ids",
    21: "rolling upgrade from the release before and back; mixed settings refused",
    22: "the same flags with one worker, with two, and with two that are killed",
    23: "the funnel and whom it credits, with a SIGKILL every 5 s under load",
}


SENTENCES = (
    "{kills} kills",
    "workers {steps}",
    "{terms} SIGTERMs, the slowest took {slowest_s:.1f} s",
    "{frozen} freezes",
    "{down_s:.0f} s away, caught up after {caught_up_after_s:.1f} s",
    "{restarts} restarts, counting again after {counting_again_s:.1f} s at most",
    "down {trouble_s:.0f} s: lag up to {down_lag_s:.1f} s, board complete {down_complete_s:.1f} s after",
    "slow {trouble_s:.0f} s: lag up to {slow_lag_s:.1f} s, complete {slow_complete_s:.1f} s after; {growth_mb:+.0f} MB",
    "{corrupt:,} corrupt, byte-identical",
    "{crashes} crashes, {raised:,} flags, {repeats} repeats, {distinct:,} distinct",
    "{bombs} bombs of {bomb_kb:.0f} kB together, as many letters, {peak_mb:.0f} MB at most",
    "{strays} strays, {late} late, {watermarks} watermark",
    "noticed after {noticed_s:.1f} s, replaced after {replaced_s:.0f} s (stall_s {stall_s:.0f})",
    "{backlog:,} behind, drained in {drained_s:.0f} s, {peak_mb:.0f} MB at most",
    "{state_rows:,} rows, ready after {ready_s:.1f} s, progress seen {progress_seen} times",
    "{days} days of {users_a_day:,} users: {keys} keys, {memory_mb} MB",
    "{golden_files} golden files of {kinds} kinds",
    "{old} to {new} and back, {replaced} workers replaced",
    "{set_aside:,} set aside in {letters:,} letters of {letters_mb:.0f} MB, {large_mb:.0f} MB resident at most",
    "{invented:,} invented topics, {names_mb:.0f} MB at most",
    "refused after {refused_after_s:.1f} s",
    "{workers} workers, {flag_kills} kills: {same:,} of {flags:,} flags as in the backtest, {others:,} others",
    "{funnel_kills} kills, {entries:,} entries exact, {credits:,} credits",
    "{events:,} events, {lost:,} lost, {twice:,} twice",
)
"""What the figures of a proof say: the sentences of which it has all figures."""


@dataclass
class Proof:
    """One promise on one Kafka."""

    row: int
    promise: str
    kafka: str
    kept: bool | None = None
    """None where it was not tried."""
    seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    """What broke, or why it was not tried."""

    def figure(self, **figures: Any) -> None:
        """Note what was measured."""
        self.figures.update(figures)

    @property
    def verdict(self) -> str:
        """Whether it was kept, in a word."""
        return {True: "[green]yes[/]", False: "[red]NO[/]", None: "[yellow]–[/]"}[self.kept]

    @property
    def summary(self) -> str:
        """The figures in words; without any, why not."""
        parts = [text.format(**self.figures) for text in SENTENCES if _needed(text) <= self.figures.keys()]
        return "; ".join(parts) or self.why.split("\n")[0]

    def line(self) -> str:
        """What is said as soon as it is known."""
        return f"{self.verdict} {self.row:2} {self.kafka:8} {self.seconds:4.0f} s  {self.promise}"


class Report:
    """All promises."""

    def __init__(self) -> None:
        self.proofs: list[Proof] = []
        self._began_s = time.monotonic()

    def __iter__(self) -> Iterator[Proof]:
        tried = {proof.row for proof in self.proofs}
        missing = [Proof(row, text, "", why="not tried") for row, text in PROMISES.items() if row not in tried]
        return iter(sorted([*self.proofs, *missing], key=lambda proof: (proof.row, proof.kafka)))

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.monotonic() - self._began_s

    def write(self, file: Path) -> None:
        """As JSON."""
        what = {"python": platform.python_version(), "machine": platform.machine(), "seconds": round(self.seconds, 1)}
        file.write_text(json.dumps({**what, "promises": [asdict(proof) for proof in self]}, indent=1) + "\n")

    def show(self, console: Console, *, all_passed: bool) -> None:
        """As a table; `all_passed`: what pytest says of all it ran."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("#", "fault", "Kafka", "kept", "s", "figures"):
            table.add_column(column, justify="right" if column in {"#", "s"} else "left", overflow="fold")
        for proof in self:
            seconds = f"{proof.seconds:.0f}" if proof.kept is not None else ""
            table.add_row(str(proof.row), proof.promise, proof.kafka, proof.verdict, seconds, proof.summary)
        console.print(table)
        broken, untried = (sum(proof.kept is kept for proof in self) for kept in (False, None))
        verdict = f"{broken} broken, {untried} not tried" if broken or untried else "every promise was kept"
        if not (broken or all_passed):
            verdict += "; but something else failed, see above"
        console.print(f"\n{verdict} ({self.seconds / 60:.1f} min)")


def _needed(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}
