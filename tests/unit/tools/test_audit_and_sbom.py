"""`make audit` reports what it could not check; `make sbom` lists all that the image has, with hashes."""

import json
import re
import subprocess
from typing import Any

import pytest

from tests.tools import audit, sbom

GOOD = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
BAD = {"name": "aiohttp", "version": "3.0.0", "vulns": [{"id": "CVE-2024-1", "fix_versions": ["3.14.5"]}]}
UNKNOWN = {"name": "aiohttp", "skip_reason": "not found"}


def outcome(*dependencies: Any, stdout: str | None = None) -> int:
    text = json.dumps({"dependencies": dependencies}) if stdout is None else stdout
    return audit.main(["a.lock"], lambda command: subprocess.CompletedProcess(command, 0, text, ""))


@pytest.mark.parametrize(
    ("dependencies", "status", "words"),
    [
        ([GOOD], audit.NONE, "1 packages checked, 0 known vulnerabilities"),
        ([GOOD, BAD], audit.FOUND, "CVE-2024-1, fixed in 3.14.5"),
        ([BAD, UNKNOWN], audit.FOUND, "NOT CHECKED: 1 packages"),
        ([GOOD, UNKNOWN], audit.NOT_CHECKED, "NOT CHECKED: 1 packages"),
        ([], audit.NOT_CHECKED, "NOT CHECKED"),
    ],
)
def test_the_exit_status_says_whether_it_is_known(
    dependencies: list[Any], status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(*dependencies) == status
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("stdout", ["", "no JSON", "{}"])
def test_no_answer_is_not_none(stdout: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(stdout=stdout) == audit.NOT_CHECKED
    assert "NOT CHECKED: pip-audit gave no answer" in capsys.readouterr().out


def test_one_lock_that_was_not_checked_is_enough() -> None:
    answers = iter([json.dumps({"dependencies": [GOOD]}), ""])
    status = audit.main(["a", "b"], lambda command: subprocess.CompletedProcess(command, 0, next(answers), ""))
    assert status == audit.NOT_CHECKED


@pytest.mark.slow
def test_the_bill_of_materials_has_every_package_of_the_image_with_its_hashes() -> None:
    pytest.importorskip("cyclonedx_py", reason="needs make setup")
    document = sbom.bill_of_materials(validate=False)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", sbom.LOCK.read_text(), re.MULTILINE))
    assert {found["name"]: found["version"] for found in document["components"]} == pinned
    for component in document["components"]:
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        assert component["externalReferences"][0]["hashes"]
    assert sbom.bill_of_materials(validate=False) == document
