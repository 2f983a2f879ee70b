"""deploy/README.md: the files that it names exist, and its commands are right."""

import re

import pytest

from tests.unit.deploy.dockerfile import ROOT

FOLDER = ROOT / "deploy"
TEXT = (FOLDER / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


def test_every_link_leads_somewhere() -> None:
    links = [target.partition("#")[0] for target in re.findall(r"\]\((?!http)([^)]+)\)", TEXT)]
    assert {target for target in links if not (FOLDER / target).exists()} == set()


@pytest.mark.parametrize("block", BLOCKS)
def test_each_way_to_deploy_takes_four_commands_with_files_that_exist(block: str) -> None:
    assert len(block.splitlines()) == 4
    paths = re.findall(r" -[fk] (\S+)", block)
    assert paths
    assert all((ROOT / path).exists() for path in paths)


def test_there_are_commands_for_compose_and_for_kubernetes() -> None:
    compose, kubernetes = BLOCKS
    assert "docker compose -f deploy/compose.yaml up" in compose
    assert "kubectl apply -k deploy/kubernetes/base" in kubernetes
