"""The rules of the house: who may import whom, what files look like, what may not be written into them."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGE = "stream_app"
MAX_LINES = 300

LAYERS = {
    "core": {"core"},
    "extras": {"extras"},
    "findings": {"findings"},
    "until": {"until"},
    "settings": {"core", "settings"},
    "kafka": {"core", "findings", "kafka", "settings", "until"},
    "logs": {"kafka", "logs", "settings"},
    "engine": {"core", "engine", "kafka", "settings"},
    "serving": {"core", "kafka", "serving", "settings"},
    "alerts": {"alerts", "core", "extras", "kafka", "settings"},
    "ops": {"alerts", "core", "engine", "extras", "findings", "kafka", "ops", "serving", "settings", "until"},
    "terminal": {"core", "terminal"},
    "sources": {"core", "extras", "kafka", "settings", "sources", "until"},
    "demo": {"core", "demo", "extras", "kafka", "settings", "sources", "terminal", "until"},
}
"""What each part of the package may import of the package; only the composition root may import everything."""

SERVING_MAY_IMPORT = ("events", "flags.standing", "messages", "privacy", "queries")
"""Of the core: `queries` is the one door through which serving reads state."""

CORE_MAY_IMPORT = {"msgspec", "numpy", "xxhash"}
"""Besides the harmless part of the standard library."""

IMPURE_MODULES = {
    *("asyncio", "concurrent", "multiprocessing", "queue", "selectors", "signal", "threading"),
    *("http", "io", "os", "pathlib", "shutil", "socket", "subprocess", "sys", "tempfile", "urllib"),
    *("logging", "random", "secrets", "time", "uuid", "warnings"),
}
IMPURE_CALLS = {"open()", "print()", "input()", ".now()", ".utcnow()", ".today()", ".default_rng()"}
"""Functions and methods that read a clock, make random numbers, or touch the outside."""

MACHINE_PATH = re.compile(r"(?<![\w.~$}*-])/(?:home|root|Users|mnt|media|work|workspace|builds)/\w")

SOURCES = sorted((ROOT / PACKAGE).rglob("*.py"))
PYTHON_FILES = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "deploy").rglob("*.py"))]
CORE_FILES = [path for path in SOURCES if path.is_relative_to(ROOT / PACKAGE / "core")]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _layer(path: Path) -> str:
    return path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[str]:
    """Every module or name that a file imports, as a full dotted name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name):
            return f"{name}()"
        case ast.Attribute(attr=name):
            return f".{name}()"
    return ""


def _tracked_files() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listing = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True, timeout=30)
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("path", [path for path in SOURCES if _layer(path) in LAYERS], ids=_name)
def test_a_layer_imports_only_what_lies_below_it(path: Path) -> None:
    own = [f"{name}." for name in _imports(path) if name.split(".")[0] == PACKAGE]
    too_much = [name for name in own if name.split(".")[1] not in {*LAYERS[_layer(path)], "__version__"}]
    assert not too_much, f"{_name(path)} may import {sorted(LAYERS[_layer(path)])} of {PACKAGE} only"


@pytest.mark.parametrize("path", [path for path in SOURCES if _layer(path) == "serving"], ids=_name)
def test_serving_reads_state_through_the_queries(path: Path) -> None:
    of_core = [name for name in _imports(path) if name.startswith(f"{PACKAGE}.core.")]
    doors = tuple(f"{PACKAGE}.core.{door}." for door in SERVING_MAY_IMPORT)
    assert not [name for name in of_core if not name.startswith(doors)], f"{_name(path)} may import {doors}"


def test_a_class_name_stands_for_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(_name(path))
    assert not {name: found for name, found in places.items() if len(found) > 1}


@pytest.mark.parametrize("path", CORE_FILES, ids=_name)
def test_the_core_needs_nothing_from_outside(path: Path) -> None:
    modules = {name.split(".")[0] for name in _imports(path)}
    foreign = {name for name in modules if name not in sys.stdlib_module_names} - CORE_MAY_IMPORT - {PACKAGE}
    assert not foreign, f"{_name(path)}: the core imports numpy, msgspec and xxhash at most"
    assert not modules & IMPURE_MODULES, f"{_name(path)}: no I/O, clock, logging or randomness in the core"


@pytest.mark.parametrize("path", CORE_FILES, ids=_name)
def test_the_core_reads_no_clock_and_awaits_nothing(path: Path) -> None:
    impure = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            impure.append(f"line {node.lineno}: async")
        elif isinstance(node, ast.Call) and _called(node) in IMPURE_CALLS:
            impure.append(f"line {node.lineno}: {_called(node)}")
    assert not impure, f"{_name(path)}: time and chance come in as arguments, I/O is done by others"


@pytest.mark.parametrize("path", [path for path in SOURCES if _layer(path) != "settings"], ids=_name)
def test_only_settings_reads_the_environment(path: Path) -> None:
    readers = {"os.environ", "os.getenv", "os.environb"}
    used = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    assert not (used | set(_imports(path))) & readers, f"{_name(path)}: take it from Settings"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_nothing_here_can_run_what_somebody_sent(path: Path) -> None:
    tree = ast.parse(path.read_text())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {str(node.arg) for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    imported = {name.split(".")[0] for name in _imports(path)}
    assert not imported & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml"}
    assert not used & {"eval", "exec", "allow_pickle"}


@pytest.mark.parametrize("path", PYTHON_FILES, ids=_name)
def test_a_file_begins_with_one_line_that_says_what_may_stand_in_it(path: Path) -> None:
    first_line = path.read_text().partition("\n")[0]
    assert re.fullmatch(r'"""\S.*\.(""")?', first_line), f"{_name(path)} begins with {first_line!r}"


@pytest.mark.parametrize("path", PYTHON_FILES, ids=_name)
def test_a_file_is_short_enough_to_have_one_subject(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES, f"{_name(path)} has {lines} lines, more than {MAX_LINES}: split it by subject"


def test_no_tracked_file_names_a_path_of_somebodys_machine() -> None:
    found = []
    for path in _tracked_files():
        text = path.read_bytes().decode(errors="ignore")
        found += [f"{_name(path)}: {match.group()}…" for match in MACHINE_PATH.finditer(text)]
    assert not found


def test_the_lock_names_no_index_and_satisfies_the_project_file() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "index-url" not in lock
    pinned = {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE)
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [Requirement(line) for lines in (project["dependencies"], *extras) for line in lines]
    others = [want for want in wanted if want.name != project["name"]]  # [dev] names the other extras
    stale = [str(want) for want in others if pinned.get(canonicalize_name(want.name), "") not in want.specifier]
    assert not stale, "the lock is older than pyproject.toml: run `make lock`"
