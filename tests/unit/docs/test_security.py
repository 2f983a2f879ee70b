"""docs/security.md says what the code does: permissions, settings, secrets."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from stream_app.settings import FILE_SUFFIX, NAMES, SECRETS, SECURITY, Settings, environment_name
from tests.tools.acls import kafka_acls, redis_commands, redis_keys

DOCUMENT = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
ACLS = kafka_acls(Settings())
Permissions = dict[tuple[str, str], set[str]]
"""Operations, by kind and name of the resource."""


def documented(command: str) -> Permissions:
    (block,) = re.findall(
        rf"### `stream-app {command}`\n\n[^`#]*(?:`--outputs`[^`]*)?```sh\n(.*?)```", DOCUMENT, re.DOTALL
    )
    found: Permissions = defaultdict(set)
    for line in block.replace("\\\n", "").splitlines():
        assert "*" not in line
        assert line.startswith("$ACLS --add --allow-principal User:")
        operations = re.findall(r"--operation (\w+)", line)
        for resource, name in re.findall(r"--(topic|group) (\S+)", line):
            found[resource, name].update(operations)
    return found


def test_the_permissions_of_each_command_are_those_that_are_tested(subtests: pytest.Subtests) -> None:
    for command in ACLS:
        with subtests.test(command=command):
            assert documented(command) == {(acl.resource, acl.name): {*acl.operations} for acl in ACLS[command]}


def test_the_permissions_in_redis_are_those_that_are_tested() -> None:
    lines = re.findall(r"^ACL SETUSER (\w+) on >password (\S+) (.*)$", DOCUMENT, re.MULTILINE)
    keys = f"~{redis_keys(Settings())}"
    assert lines == [(user, keys, " ".join(f"+{one}" for one in ones)) for user, ones in redis_commands().items()]


def test_every_setting_of_security_is_described_and_no_other_invented() -> None:
    named = {*re.findall(r"STREAM_APP_[A-Z_]+[A-Z]", DOCUMENT)}
    variables = {environment_name(name) for name in NAMES}
    assert named <= variables | {environment_name(name) + FILE_SUFFIX for name in SECRETS}
    optional = {environment_name("redis_key_file"), environment_name("kafka_key_file")}
    assert {environment_name(name) for name in SECURITY} - named <= optional
    assert {environment_name(name) for name in SECRETS} <= named
