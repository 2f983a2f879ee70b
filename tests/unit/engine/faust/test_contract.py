"""The contract with Faust, aiokafka and kafka-python: every missing name is listed, and a worker refuses to run."""

import subprocess
import sys
from importlib import import_module

import pytest

from stream_app.engine.faust.contract import CONTRACT, broken, refusal
from stream_app.engine.liveness.exit_codes import Exit
from tests.servers.tracker import ROOT

NAMES = [(module, name) for module, names in CONTRACT.items() for name in names]

_WORKER_WITHOUT_A_NAME = """
from faust.transport.consumer import Consumer
del Consumer._new_offset
from stream_app.settings import load
from stream_app.worker import run_worker
run_worker(load({}))
"""


def test_the_pinned_libraries_have_every_name() -> None:
    broken.cache_clear()
    assert broken() == []
    assert refusal() == ""


@pytest.mark.slow
def test_every_name_that_is_gone_is_reported_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [(module, f"{name}_of_another_release") for module, name in NAMES]
    renamed = {module: {f"{name}_of_another_release": "why" for name in names} for module, names in CONTRACT.items()}
    monkeypatch.setattr("stream_app.engine.faust.contract.CONTRACT", renamed)
    broken.cache_clear()
    assert broken() == [f"{module}.{name} (why)" for module, name in missing]
    broken.cache_clear()


def test_a_module_that_is_gone_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_app.engine.faust.contract.CONTRACT", {"faust.no_such_module": {"Name": "why"}})
    broken.cache_clear()
    assert broken() == ["faust.no_such_module.Name (why)"]
    broken.cache_clear()


def test_every_private_name_in_the_code_is_in_the_contract() -> None:
    """What ruff would complain of is marked with a noqa, and each such line uses a name of the contract."""
    known = {part for _, name in NAMES for part in name.split(".")}
    marked = [
        line.strip()
        for folder in ("engine", "kafka")
        for path in (ROOT / "stream_app" / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if "noqa: SLF001" in line
    ]
    assert len(marked) > 5
    assert not [line for line in marked if not any(f".{name}" in line for name in known if name.startswith("_"))]


def test_a_worker_refuses_to_run_without_a_name_and_names_it() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _WORKER_WITHOUT_A_NAME],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == Exit.REFUSED
    assert "faust.transport.consumer.Consumer._new_offset" in ended.stderr


@pytest.mark.parametrize("module", CONTRACT)
def test_the_modules_of_the_contract_can_be_imported(module: str) -> None:
    assert import_module(module).__name__ == module
