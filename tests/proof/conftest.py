"""`make prove`: how long the proofs take, which Kafka they run on, how many at a time, and the report at the end."""

import fcntl
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.proof.report import PROMISES, Proof
from tests.proof.reporter import Reporter
from tests.proof.scale import FULL, QUICK, Scale
from tests.servers.brokers import APACHE, EMBEDDED

PROOF = pytest.StashKey[Proof]()
ALONE = "alone"
LONGEST = (14, 0, 4, 3, 6)
"""Rows that are begun first, so that none of them is what the others wait for at the end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of `make prove`, given in ARGS."""
    group = parser.getgroup("proof")
    group.addoption(
        "--full", action="store_true", help="as long as the promises say (about an hour), not a fraction of it"
    )
    group.addoption("--kafka", choices=[EMBEDDED, APACHE, "both"], default="both", help="which Kafka (both)")
    group.addoption("--proof", type=Path, metavar="FILE", help="write the figures as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Names of what is used here."""
    config.addinivalue_line("markers", "promise(row, what): proves a row of the report")
    config.addinivalue_line("markers", f"{ALONE}: measures times that others would spoil")
    if not hasattr(config, "workerinput"):  # the process that hands the proofs out to others, or runs them itself
        config.pluginmanager.register(Reporter(config))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A promise that needs a Kafka is proven on each that was asked for."""
    if "kafka" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--kafka")
        metafunc.parametrize("kafka", [EMBEDDED, APACHE] if asked == "both" else [asked])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that others would spoil come last, when the others are done."""

    def place(item: pytest.Item) -> tuple[bool, bool]:
        promise = item.get_closest_marker("promise")
        return item.get_closest_marker(ALONE) is not None, promise is None or promise.args[0] not in LONGEST

    items.sort(key=place)


@pytest.fixture
def scale(request: pytest.FixtureRequest) -> Scale:
    """How much of everything."""
    return FULL if request.config.getoption("--full") else QUICK


@pytest.fixture
def brokers(kafka: str, request: pytest.FixtureRequest) -> str:
    """Bootstrap address of the Kafka that the promise is proven on."""
    address: str = request.getfixturevalue(f"{kafka}_brokers")
    return address


@pytest.fixture(autouse=True)
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Others at the same time, or none."""
    alone = request.node.get_closest_marker(ALONE) is not None
    with (tmp_path_factory.getbasetemp().parent / "proofs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> Proof:
    """Where a proof notes its figures."""
    made: Proof = request.node.stash[PROOF]
    return made


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Every proof is noted before anything can go wrong."""
    marker = item.get_closest_marker("promise")
    assert marker is not None, "it does not say which promise it proves"
    row = marker.args[0]
    given: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    item.stash[PROOF] = Proof(row, marker.kwargs.get("what", PROMISES[row]), given.get("kafka", ""))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Attach to the report whether the promise was kept, once, for the process that prints it."""
    report: pytest.TestReport = yield
    if call.when == "call" or not report.passed:
        made = item.stash[PROOF]
        made.kept = None if report.skipped else report.passed
        made.why = "" if report.passed else str(call.excinfo.value if call.excinfo else "")
        made.seconds = call.duration
        report.proof = asdict(made)  # type: ignore[attr-defined]  # pytest lets plugins add what is plain data
    return report
