"""`make sbom`: the bill of materials (CycloneDX 1.6) of the packages of the image, from its lock, reproducibly."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "deploy" / "docker" / "requirements.lock"
_INDEX = "https://pypi.org/simple"


def bill_of_materials(lock: Path = LOCK, *, validate: bool = True) -> dict[str, Any]:
    """The document: each package with its version, its purl and the hashes that an installation is checked against."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--of", "JSON"]
    command += ["--sv", "1.6", "-i", _INDEX, "--pyproject", str(ROOT / "pyproject.toml"), str(lock)]
    command += ["--validate" if validate else "--no-validate"]
    written = subprocess.run(command, capture_output=True, check=True, text=True, timeout=120).stdout
    document: dict[str, Any] = json.loads(written)
    for component in document["components"]:
        component.pop("description", None)  # the line of the lock, with all hashes once more
    version = re.findall(r'__version__ = "(.+)"', (ROOT / "stream_app" / "__init__.py").read_text())
    document["metadata"]["component"]["version"] = version[0]
    return document


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(json.dumps(bill_of_materials(), indent=2, sort_keys=True) + "\n")
    print(f"{target}: written")
