"""axe, which finds what keeps people from using a page; it comes by npm."""

import shutil
from pathlib import Path

from tests.fetched import fetched

_NPM = Path(__file__).parent / "npm"
_LOCK = _NPM / "package-lock.json"


class NpmMissing(RuntimeError):
    """npm is not installed."""


def axe_source() -> str:
    """The script that defines `axe`. Raises NpmMissing, FetchError."""
    npm = shutil.which("npm")
    if npm is None:
        raise NpmMissing("needs system package: nodejs npm (axe, which examines the page, comes by npm)")
    folder = fetched("axe", _LOCK, lambda folder: _installing(npm, folder))
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def _installing(npm: str, folder: Path) -> list[str]:
    for path in _NPM.iterdir():
        shutil.copy(path, folder)
    return [npm, "ci", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"]
