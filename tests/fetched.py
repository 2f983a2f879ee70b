"""What tests fetch from a registry: once, and kept between runs outside the repository."""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

CACHE = Path.home() / ".cache" / "stream-app"

_FETCH_S = 300
_LOG_TAIL = 3000


class FetchError(RuntimeError):
    """It cannot be fetched; the message holds the last words of who tried."""


def fetched(name: str, recipe: Path, command: Callable[[Path], list[str]]) -> Path:
    """The folder that what `recipe` names is in; `command`, given an empty folder, is what fills it the first time.

    Raises FetchError.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / f"{name}-{hashlib.sha256(recipe.read_bytes()).hexdigest()[:12]}"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            done = subprocess.run(command(unfinished), capture_output=True, text=True, timeout=_FETCH_S, check=False)
            if done.returncode:
                said = (done.stdout + done.stderr)[-_LOG_TAIL:]
                raise FetchError(f"{done.args[0]} did not fetch what {recipe.name} names:\n{said}")
            unfinished.rename(folder)
    return folder


def java_libraries(name: str, pom: Path) -> Path:
    """The folder with the libraries that a POM names, by Maven, which must be there. Raises FetchError."""
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    return fetched(name, pom, lambda folder: [*command, f"-DoutputDirectory={folder}", f"-DbuildDirectory={folder}"])
