"""`make audit`: known vulnerabilities of what the locks pin. Exit status 0: none, 1: some, 2: it could not be checked.

pip-audit ends with 0 also where it found nothing about a package, as behind a mirror without the advisory data. Here
that is no answer.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

NONE, FOUND, NOT_CHECKED = 0, 1, 2
LOCKS = ("requirements.lock", "deploy/docker/requirements.lock")
_LIMIT_S = 600

Run = Callable[[list[str]], "subprocess.CompletedProcess[str]"]


def main(locks: Sequence[str] = LOCKS, run: Run | None = None) -> int:
    """Audit the locks; prints what is known, and what is not."""
    worst = NONE
    for lock in locks:
        command = [sys.executable, "-m", "pip_audit", "-r", lock, "--disable-pip", "--require-hashes", "-f", "json"]
        try:
            done = (run or _run)([*command, "--progress-spinner", "off"])
            dependencies = json.loads(done.stdout)["dependencies"]
        except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
            print(f"{lock}: NOT CHECKED: pip-audit gave no answer ({type(error).__name__}); is the network there?")
            worst = max(worst, NOT_CHECKED)
            continue
        worst = _worst(worst, _judged(lock, dependencies))
    return worst


def _judged(lock: str, dependencies: list[dict[str, Any]]) -> int:
    known = [found for found in dependencies if "skip_reason" not in found]
    unknown = [found for found in dependencies if "skip_reason" in found]
    vulnerable = [(found, vuln) for found in known for vuln in found["vulns"]]
    for found, vuln in vulnerable:
        fixed = ", ".join(vuln["fix_versions"]) or "no release yet"
        print(f"{lock}: {found['name']} {found['version']}: {vuln['id']}, fixed in {fixed}")
    print(f"{lock}: {len(known)} packages checked, {len(vulnerable)} known vulnerabilities.")
    if unknown or not dependencies:
        names = ", ".join(found["name"] for found in unknown[:5])
        print(f"{lock}: NOT CHECKED: {len(unknown)} packages the advisory data could not be reached for: {names} …")
    if vulnerable:
        return FOUND
    return NOT_CHECKED if unknown or not dependencies else NONE


def _worst(one: int, other: int) -> int:
    """What was found weighs more than what is not known."""
    return FOUND if FOUND in {one, other} else max(one, other)


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, check=False, text=True, timeout=_LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
