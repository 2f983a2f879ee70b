"""The rules of the house: who may import whom, what files look like, which words name things; each lists offenders."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "stream_app"
SOURCES = sorted(PACKAGE.rglob("*.py"))
PYTHON_FILES = [*SOURCES, *(path for folder in ("tests", "deploy") for path in sorted((ROOT / folder).rglob("*.py")))]

MAX_LINES = 300
MAX_FILES = 13

MAX_FAUST_FILES = 7

CORE_MAY_IMPORT = {"msgspec", "numpy", "xxhash"}
"""Besides the harmless part of the standard library."""

IMPURE_MODULES = {
    *("asyncio", "concurrent", "multiprocessing", "queue", "selectors", "signal", "threading"),
    *("http", "io", "os", "pathlib", "shutil", "socket", "subprocess", "sys", "tempfile", "urllib"),
    *("logging", "random", "secrets", "time", "uuid", "warnings"),
}
IMPURE_CALLS = {"open()", "print()", "input()", ".now()", ".utcnow()", ".today()", ".default_rng()"}
"""Functions and methods that read a clock, make random numbers, or touch the outside."""

RUN_WHAT_WAS_SENT = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "eval", "exec", "allow_pickle"}
ENVIRONMENT = {"os.environ", "os.getenv", "os.environb"}
MACHINE_PATH = re.compile(r"(?<![\w.~$}*-])/(?:home|root|Users|mnt|media|work|workspace|builds)/\w")

TERMS = {
    **{term: (term,) for term in ("event", "partition", "offset", "watermark", "window", "late", "dedup", "state")},
    **{term: (term,) for term in ("changelog", "checkpoint", "restore", "rebalance", "fencing", "histogram", "outbox")},
    **{term: (term,) for term in ("producer", "retry")},
    "decode": ("decode", "decoding"),
    "top-k": ("top_k",),
    "DLQ": ("dlq", "dead_letter"),
    "leader election": ("leader_election", "leadership"),
}
"""What a reader who knows stream processing looks for, and the path that answers."""
LEAST_TERMS = 18

BANNED = re.compile(
    r"(?<![A-Za-z])(tells?|told|telling|whoever|what[ _]cannot[ _]be|does[ _]not[ _]take[ _]us)(?![A-Za-z])",
    re.IGNORECASE,
)
"""Also as parts of snake_case names."""
TEXT = {".py", ".md", ".yaml", ".yml", ".json", ".js", ".html", ".css", ".conf", ".toml", ".sh", ".txt"}

SHARED_NAMES = {
    *("__init__", "__main__"),
    *(
        "alerts",
        "dead_letters",
        "doctor",
        "migrate",
        "replay",
        "reset",
        "topics",
        "worker",
    ),  # cli/commands/x.py runs what x names
    *("kafka", "redis"),  # the part that has to do with that server
    *("addresses", "checks", "config", "counting", "erasure", "findings", "metrics", "options", "records", "scan"),
    *("schema", "scopes", "server", "service", "writer"),
}
"""Modules of which there may be several, because the folder says whose."""


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _imports(path: Path) -> Iterator[str]:
    """Every module or name that a file imports, as a full dotted name."""
    for node in ast.walk(_tree(path)):
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


def _tracked(*folders: str) -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    command = [git, "ls-files", "-z", "--", *folders]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=30).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def _none(offenders: Iterable[str], rule: str) -> None:
    if found := "\n  ".join(sorted(offenders)):
        pytest.fail(f"{rule}:\n  {found}", pytrace=False)


def test_imports_go_down_the_layers() -> None:
    # In a process of its own: it switches off every logger that exists.
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-cache", "--no-logo"]
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True, timeout=50)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    faust = [path for path in SOURCES if any(name.split(".")[0] == "faust" for name in _imports(path))]
    assert len(faust) <= MAX_FAUST_FILES, f"files that import faust: {[_name(path) for path in faust]}"


def test_the_core_is_pure() -> None:
    found = []
    for path in (path for path in SOURCES if path.is_relative_to(PACKAGE / "core")):
        modules = {name.split(".")[0] for name in _imports(path)}
        foreign = {name for name in modules if name not in sys.stdlib_module_names} - CORE_MAY_IMPORT - {PACKAGE.name}
        found += [f"{_name(path)} imports {name}" for name in foreign | modules & IMPURE_MODULES]
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.AsyncFunctionDef | ast.Await):
                found.append(f"{_name(path)}:{node.lineno} is async")
            elif isinstance(node, ast.Call) and _called(node) in IMPURE_CALLS:
                found.append(f"{_name(path)}:{node.lineno} calls {_called(node)}")
    _none(found, "no I/O, clock, chance or logging in the core; numpy, msgspec and xxhash at most")


def test_input_is_never_run_and_only_settings_reads_the_environment() -> None:
    found = []
    for path in SOURCES:
        nodes = list(ast.walk(_tree(path)))
        imported = set(_imports(path))
        used = {node.id for node in nodes if isinstance(node, ast.Name)} | {name.split(".")[0] for name in imported}
        used |= {str(node.arg) for node in nodes if isinstance(node, ast.keyword)}
        read = imported | {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
        if not path.is_relative_to(PACKAGE / "settings"):
            used |= read & ENVIRONMENT
        found += [f"{_name(path)} uses {name}" for name in used & (RUN_WHAT_WAS_SENT | ENVIRONMENT)]
    _none(found, "nothing runs what was sent; values of the environment come from Settings")


def _is_text_of_the_locale(call: ast.Call) -> bool:
    """Whether it opens, reads or writes a file as text without saying in which coding."""
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    if _called(call) in {".write_text()", ".read_text()"}:
        return ast.unparse(call.func) != "formatter.write_text"  # of click, which has no file
    modes = [str(arg.value) for arg in call.args if isinstance(arg, ast.Constant)]
    on_a_path = _called(call) == ".open()" and ast.unparse(call.func).endswith(("path.open", "file.open"))
    return (on_a_path or _called(call) == "open()") and not any("b" in mode for mode in modes)


def test_text_is_in_utf_8_whatever_the_locale() -> None:
    found = [
        f"{_name(path)}:{node.lineno}"
        for path in _tracked("stream_app", "deploy")
        if path.suffix == ".py"
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and _is_text_of_the_locale(node)
    ]
    _none(found, 'a file has encoding="utf-8", or a report fails where the locale is another')


def test_files_and_folders_have_one_subject_and_say_which() -> None:
    found = []
    for path in PYTHON_FILES:
        first, *others = path.read_text().splitlines()
        if not re.fullmatch(r'"""\S.*\.(""")?', first):
            found.append(f"{_name(path)} begins with {first!r}, not with one sentence that says what may stand in it")
        if (lines := len(others) + 1) > MAX_LINES:
            found.append(f"{_name(path)} has {lines} lines, more than {MAX_LINES}: split it by subject")
    members = defaultdict(list)
    for path in _tracked(PACKAGE.name):
        members[path.parent].append(path)
    crowded = {folder: len(files) for folder, files in members.items() if len(files) > MAX_FILES}
    found += [f"{_name(folder)} has {count} files, more than {MAX_FILES}" for folder, count in crowded.items()]
    if (PACKAGE / "local").exists():
        found.append("stream_app/local names no subject")
    _none(found, "one subject a file and a folder")


def test_terms_of_the_field_are_found_by_name_and_a_name_means_one_thing() -> None:
    parts = [part for path in _tracked(PACKAGE.name) for part in path.relative_to(PACKAGE).with_suffix("").parts]
    missing = [term for term, words in TERMS.items() if not any(word in part for word in words for part in parts)]
    if len(TERMS) - len(missing) < LEAST_TERMS:
        pytest.fail(f"no file or folder of {PACKAGE.name} is named after {missing}", pytrace=False)
    places = defaultdict(list)
    for path in SOURCES:
        if path.stem not in SHARED_NAMES:
            places[f"module {path.stem}"].append(_name(path))
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ClassDef):
                places[f"class {node.name}"].append(f"{_name(path)}:{node.lineno}")
    _none((f"{name}: {found}" for name, found in places.items() if len(found) > 1), "one name, one thing")


def test_prose_and_names_are_plain_english() -> None:
    found = []
    for path in _tracked():
        if path.suffix in TEXT and not path.is_relative_to(ROOT / "tests" / "golden"):
            for number, line in enumerate(path.read_text(errors="ignore").splitlines(), 1):
                if BANNED.pattern not in line:
                    found += [f"{_name(path)}:{number}: {match.group()}" for match in BANNED.finditer(line)]
    _none(found, "say who reports, logs, returns or raises what")


def test_no_tracked_file_names_a_path_of_somebodys_machine() -> None:
    found = []
    for path in _tracked():
        text = path.read_bytes().decode(errors="ignore")
        found += [f"{_name(path)}: {match.group()}…" for match in MACHINE_PATH.finditer(text)]
    _none(found, "paths are relative to the project")


def test_the_lock_names_no_index_and_satisfies_the_project_file() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "index-url" not in lock
    pinned = {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE)
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = (project["dependencies"], *project["optional-dependencies"].values())
    wanted = [want for lines in groups for line in lines if (want := Requirement(line)).name != project["name"]]
    stale = (str(want) for want in wanted if pinned.get(canonicalize_name(want.name), "") not in want.specifier)
    _none(stale, "the lock is older than pyproject.toml: run `make lock`")


def test_what_is_printed_holds_no_markup_but_that_of_the_source() -> None:
    found = []
    for path in (path for path in SOURCES if path != PACKAGE / "terminal" / "output.py"):
        rich = {name for name in _imports(path) if name.startswith("rich.")}
        found += [
            f"{_name(path)} imports {name}" for name in rich & {"rich.table.Table", "rich.markup.escape", "rich.print"}
        ]
        for node in (node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)):
            where = f"{_name(path)}:{node.lineno}"
            match _called(node):
                case "Console()" | ".from_markup()" | "Table()" | "print()":
                    found.append(f"{where} calls {_called(node)}: take console, table or marked of terminal/output.py")
                case "marked()" if not all(isinstance(part, str) for part in _template(node.args[0])):
                    found.append(f"{where}: the template of marked() is no literal")
    _none(found, "a name from an event is no markup: it is printed by terminal/output.py, beside the templates")


def _template(node: ast.expr) -> list[object]:
    """What the template can be, where it is chosen among several; anything but text is not allowed."""
    if isinstance(node, ast.IfExp):
        return _template(node.body) + _template(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) else [None]
