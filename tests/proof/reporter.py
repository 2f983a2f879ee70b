"""What `make prove` says while the proofs run, and at their end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.proof.report import Proof, Report


class Reporter:
    """A plugin of the one process that hears of all proofs."""

    def __init__(self, config: pytest.Config) -> None:
        self._report = Report()
        self._file: Path | None = config.getoption("--proof")
        self._console = Console()
        self._wanted = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """How many there are to run, where this process runs them itself."""
        self._wanted = len(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """And where others do."""
        self._wanted = len(ids)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No dots: every proof has a line of its own."""
        return (report.outcome, "", "") if hasattr(report, "proof") else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One line as soon as a promise was kept, or broken."""
        proof: dict[str, Any] | None = getattr(report, "proof", None)
        if proof is None:
            return
        self._report.proofs.append(Proof(**proof))
        line = f"{len(self._report.proofs):3} of {self._wanted}  {self._report.proofs[-1].line()}"
        self._console.print(line, soft_wrap=True)

    def pytest_terminal_summary(self, exitstatus: int) -> None:
        """The report, on the terminal and as a file."""
        if not self._report.proofs:
            return
        self._console.print()
        self._report.show(self._console, all_passed=exitstatus == pytest.ExitCode.OK)
        if self._file:
            self._report.write(self._file)
