"""`make prove`: how long the proofs take, which Kafka they run on, and the report at the end."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.proof.report import PROMISES, Proof, Report
from tests.proof.scale import FULL, QUICK, Scale
from tests.servers.brokers import APACHE, EMBEDDED

REPORT = pytest.StashKey[Report]()
PROOF = pytest.StashKey[Proof]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of `make prove`, given in ARGS."""
    group = parser.getgroup("proof")
    group.addoption(
        "--full", action="store_true", help="as long as the promises say (about an hour), not a tenth of it"
    )
    group.addoption("--kafka", choices=[EMBEDDED, APACHE, "both"], default="both", help="which Kafka (both)")
    group.addoption("--proof", type=Path, metavar="FILE", help="write the figures as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Names of what is used here."""
    config.addinivalue_line("markers", "promise(row): proves a row of the report")
    config.stash[REPORT] = Report()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A promise that needs a Kafka is proven on each that was asked for."""
    if "kafka" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--kafka")
        metafunc.parametrize("kafka", [EMBEDDED, APACHE] if asked == "both" else [asked])


@pytest.fixture
def scale(request: pytest.FixtureRequest) -> Scale:
    """How much of everything."""
    return FULL if request.config.getoption("--full") else QUICK


@pytest.fixture
def brokers(kafka: str, request: pytest.FixtureRequest) -> str:
    """Bootstrap address of the Kafka that the promise is proven on."""
    address: str = request.getfixturevalue(f"{kafka}_brokers")
    return address


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> Iterator[Proof]:
    """Where a proof notes its figures."""
    marker = request.node.get_closest_marker("promise")
    assert marker is not None
    row = marker.args[0]
    made = Proof(
        row,
        marker.kwargs.get("what", PROMISES[row]),
        (getattr(request.node, "callspec", None) and request.node.callspec.params.get("kafka", "")) or "",
    )
    request.node.stash[PROOF] = made
    request.config.stash[REPORT].proofs.append(made)
    began_s = time.monotonic()
    yield made
    made.seconds = time.monotonic() - began_s


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Whether the promise was kept."""
    report: pytest.TestReport = yield
    made = item.stash.get(PROOF, None)
    if made is not None and call.when == "call":
        made.kept = None if report.skipped else report.passed
        made.why = "" if report.passed else str(call.excinfo.value if call.excinfo else "")
    return report


def pytest_terminal_summary(config: pytest.Config) -> None:
    """The report, on the terminal and as a file."""
    report = config.stash[REPORT]
    if not report.proofs:
        return
    console = Console(soft_wrap=False)
    console.print()
    report.show(console)
    if file := config.getoption("--proof"):
        report.write(file)
