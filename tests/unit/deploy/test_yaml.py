"""The YAML files of the deployment pass yamllint."""

import pytest
from yamllint import linter
from yamllint.config import YamlLintConfig

from tests.unit.deploy.dockerfile import ROOT

RULES = YamlLintConfig("""
extends: default
rules:
  braces: {max-spaces-inside: 0}
  comments: {min-spaces-from-content: 1}
  document-start: disable
  empty-values: {forbid-in-block-mappings: false}
  line-length: {max: 120}
  truthy: {allowed-values: ["true", "false"]}
""")
FILES = [
    ROOT / "deploy" / "compose.yaml",
    ROOT / "deploy" / "alerts.yaml",
    *(path for folder in ("compose", "kubernetes") for path in sorted((ROOT / "deploy" / folder).rglob("*.y*ml"))),
]


def problems(text: str) -> list[str]:
    return [str(problem) for problem in linter.run(text, RULES)]


def test_yamllint_finds_nothing(subtests: pytest.Subtests) -> None:
    for path in FILES:
        with subtests.test(path=path):
            assert not problems(path.read_text())


def test_every_yaml_file_begins_with_its_purpose(subtests: pytest.Subtests) -> None:
    for path in FILES:
        with subtests.test(path=path):
            assert path.read_text().startswith("# ")


@pytest.mark.parametrize("bad", ["a: 1\na: 2\n", "a: yes\n", "a:\n   - 1\n  - 2\n", f"a: {'x ' * 70}\n", "a: [1\n"])
def test_yamllint_finds_what_is_wrong(bad: str) -> None:
    assert problems(bad)
