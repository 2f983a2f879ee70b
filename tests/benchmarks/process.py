"""A process under measurement: started with its variables, its CPU time and memory read, ended by its id."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from stream_app.demo.embedded.process import spawn

MB = 1_000_000
_STOP_S = 10.0
_TAIL_BYTES = 2000
_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class BenchError(RuntimeError):
    """The measurement failed; the message says why."""


class MeasuredProcess:
    """One process, which ends with the block or by `kill`. Needs Linux: reads CPU time and memory from /proc."""

    def __init__(self, name: str, command: Sequence[str], variables: Mapping[str, str], folder: Path) -> None:
        """Start `command` with `variables` on top of the environment; its log and its data go to `folder`."""
        if not _PROC.joinpath("self", "stat").exists():
            raise BenchError("there is no /proc to read CPU time and memory from: run the benchmark on Linux")
        self.name = name
        self._log_file = folder / f"{name.replace(' ', '-')}.log"
        self._log: IO[bytes] = self._log_file.open("ab")
        given = {**variables, "APP_DATADIR": str(folder / f"data of {name}")}
        self._process: subprocess.Popen[bytes] = spawn([*command], self._log, given)

    def __enter__(self) -> Self:
        """Itself: it runs already."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End it, by force where it takes more than a few seconds."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._log.close()

    def kill(self) -> None:
        """SIGKILL it."""
        self._process.kill()
        self._process.wait()

    def check(self) -> None:
        """Raise BenchError when it has ended."""
        if (status := self._process.poll()) is not None:
            raise BenchError(f"the {self.name} ended with status {status}; the end of its log:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The end of its log."""
        return self._log_file.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")

    def cpu_s(self) -> float:
        """CPU seconds used so far, its children's included."""
        return sum(map(_own_cpu_s, self._family()))

    def rss_mb(self) -> float:
        """Resident memory now, in MB (10^6 bytes), its children's included."""
        return self._memory_mb("VmRSS")

    def peak_rss_mb(self) -> float:
        """The most resident memory it ever had, in MB, its children's included."""
        return self._memory_mb("VmHWM")

    def _memory_mb(self, field: str) -> float:
        return sum(_status_kb(pid, field) for pid in self._family()) * 1024 / MB

    def _family(self) -> list[int]:
        """The process and its living descendants."""
        self.check()
        family = [self._process.pid]
        for pid in family:
            for children in _PROC.joinpath(str(pid), "task").glob("*/children"):
                family += map(int, children.read_text().split())
        return family


def _own_cpu_s(pid: int) -> float:
    """User and system time, to the nanosecond, and that of children that have ended, in ticks."""
    fields = _PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime(_cpu_clock(pid)) + sum(map(int, fields[13:15])) / _TICKS


def _cpu_clock(pid: int) -> int:
    """The clock of a process' CPU time, as clock_getcpuclockid(3) names it: a tick is too coarse for milliseconds."""
    return ~pid << 3 | 2


def _status_kb(pid: int, field: str) -> int:
    for line in _PROC.joinpath(str(pid), "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    return 0
