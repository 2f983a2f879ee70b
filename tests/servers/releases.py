"""Workers of an earlier release: its wheel is among the golden files, and is unpacked in front of this release."""

import sys
import zipfile
from pathlib import Path

from tests.servers.tracker import ROOT, WORKER_PROGRAM

WHEELS = ROOT / "tests" / "golden" / "releases"
OLD = "0.2.0"


def command_of(release: str, folder: Path) -> tuple[str, ...]:
    """The command of a worker of a release, unpacked into `folder`; its dependencies are those of this environment.

    It is not given settings that it does not know: it would end because of them.
    """
    (wheel,) = WHEELS.glob(f"stream_app-{release}-py3-none-any.whl")
    unpacked = folder / release
    if not unpacked.exists():
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(unpacked)  # a pure wheel needs no more
    first = f"""import json, sys
sys.path.insert(0, {str(unpacked)!r})
from stream_app.settings import Settings
known = {{f"STREAM_APP_{{name.upper()}}" for name in Settings.__struct_fields__}}
known = {{name: value for name, value in json.loads(sys.argv[-1]).items() if name in known}}
sys.argv[-1] = json.dumps(known)
"""
    return (sys.executable, "-c", first + WORKER_PROGRAM)
