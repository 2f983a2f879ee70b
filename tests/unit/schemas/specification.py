"""The official JSON Schema of AsyncAPI documents, which comes by npm."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.fetched import fetched

_NPM = Path(__file__).parent / "npm"
_LOCK = _NPM / "package-lock.json"


class NpmMissing(RuntimeError):
    """npm is not installed."""


def asyncapi_schema(version: str) -> dict[str, Any]:
    """The schema of documents of this version of AsyncAPI. Raises NpmMissing, FetchError."""
    npm = shutil.which("npm")
    if npm is None:
        raise NpmMissing("needs system package: nodejs npm (the official schema of AsyncAPI comes by npm)")
    folder = fetched("asyncapi", _LOCK, lambda folder: _installing(npm, folder))
    path = folder / "node_modules" / "@asyncapi" / "specs" / "schemas" / f"{version}.json"
    schema: dict[str, Any] = json.loads(path.read_text())
    return schema


def _installing(npm: str, folder: Path) -> list[str]:
    for path in _NPM.iterdir():
        shutil.copy(path, folder)
    return [npm, "ci", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"]
