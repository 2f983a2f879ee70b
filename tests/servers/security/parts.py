"""What the tests of secured servers share: users, their passwords, and commands run as they would be in production."""

import base64
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner, Result
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

from stream_app.cli import main
from stream_app.demo.embedded.process import LOCALHOST, spawn
from stream_app.settings import NAMES, Settings, environment_of_child
from tests.servers.apache import Cluster
from tests.servers.certificates import Authority
from tests.tools.acls import Acl, redis_keys
from tests.waiting import eventually

USERS = (
    "worker",
    "creator",
    "checker",
    "producer",
    "watcher",
    "alerter",
    "rehearser",
    "exporter",
    "counsellor",
    "reader",
    "resender",
    "doctor",
    "resetter",
    "eraser",
    "rotated",
    "nobody",
)
KAFKA_PASSWORDS = {user: f"planted-kafka-{user}" for user in USERS}
REDIS_PASSWORDS = {user: f"planted-redis-{user}" for user in ("worker", "top", "erase")}
TIMEOUT_S = 40
SOON_S = 60
_OPERATIONS = {
    "Read": ACLOperation.READ,
    "Write": ACLOperation.WRITE,
    "Create": ACLOperation.CREATE,
    "Delete": ACLOperation.DELETE,
    "Describe": ACLOperation.DESCRIBE,
    "Alter": ACLOperation.ALTER,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
}


class Secured(NamedTuple):
    """A cluster, and who signed its certificate."""

    cluster: Cluster
    authority: Authority

    def variables(self, user: str = "", **given: object) -> dict[str, str]:
        """The environment of `user`, with further settings by name."""
        login = {"kafka_protocol": "SASL_SSL", "kafka_user": user, "kafka_password": KAFKA_PASSWORDS.get(user, "")}
        servers = {"brokers": self.cluster.brokers, "kafka_ca_file": self.authority.cert, "redis_url": ""}
        return as_variables(**{**servers, **(login if user else {"kafka_protocol": "SSL"}), **given})

    @contextmanager
    def administration(self) -> Iterator[KafkaAdminClient]:
        """The administrator, on the brokers' own listener."""
        with closing(KafkaAdminClient(bootstrap_servers=self.cluster.administration)) as admin:
            yield admin

    def allow(self, user: str, acls: Iterable[Acl]) -> None:
        """Let a user do something."""
        with self.administration() as admin:
            made = admin.create_acls([acl for wanted in acls for acl in _acls(user, wanted)])
        assert not made["failed"]

    def forbid(self, user: str, resource: str, name: str, operation: str) -> None:
        """Take one permission away."""
        pattern = ResourcePatternFilter(ResourceType[resource.upper()], name, pattern_type=_LITERAL)
        taken = ACLFilter(f"User:{user}", "*", _OPERATIONS[operation], ACLPermissionType.ALLOW, pattern)
        with self.administration() as admin:
            admin.delete_acls([taken])


_LITERAL = ResourcePattern(ResourceType.TOPIC, "x").pattern_type


def _acls(user: str, wanted: Acl) -> Iterator[ACL]:
    pattern = ResourcePattern(ResourceType[wanted.resource.upper()], wanted.name)
    for operation in wanted.operations:
        yield ACL(f"User:{user}", "*", _OPERATIONS[operation], ACLPermissionType.ALLOW, pattern)


def as_variables(**settings: object) -> dict[str, str]:
    """Settings by name as an environment."""
    return {f"STREAM_APP_{name.upper()}": str(value) for name, value in settings.items()}


def redis_rules(password: str, commands: Iterable[str]) -> str:
    """What a user of Redis may do, as ACL SETUSER takes it: these commands on the keys of the board."""
    return " ".join(("on", f">{password}", f"~{redis_keys(Settings())}", *(f"+{command}" for command in commands)))


def own_topics(name: str) -> dict[str, str]:
    """Settings that keep a test apart from the others on the same cluster."""
    topics = (setting for setting in NAMES if setting.endswith("_topic"))
    return {"app_id": name, **{setting: f"{name}.{setting.removesuffix('_topic')}" for setting in topics}}


def ran(variables: Mapping[str, str], *arguments: str, fails: bool = False) -> "subprocess.CompletedProcess[str]":
    """A command of ours, run to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "stream_app", *arguments],
        env=environment_of_child(variables),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert bool(done.returncode) == fails, done.stdout + done.stderr
    return done


def asked(variables: Mapping[str, str], *arguments: str) -> Result:
    """A command of ours, run in this process."""
    return CliRunner().invoke(main, arguments, env=dict(variables))


@contextmanager
def a_worker(variables: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker for the length of the block, with its output in `log`."""
    with log.open("wb") as out:
        process = spawn([sys.executable, "-u", "-m", "stream_app", "worker"], out, variables)
        try:
            yield process
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def a_token(user: str, seconds: int) -> str:
    """An OAuth token as Kafka's own validator for tests takes them: not signed, valid for so long."""
    now = time.time()
    claims = {"sub": user, "iat": now, "exp": now + seconds}
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])


def events(folder: Path) -> Path:
    """Recorded events, of which one makes a connector."""
    now_ms = round(time.time() * 1000)
    reach: Sequence[int] = [1_000_000] + [10] * 11
    lines = [
        {"event_id": f"e{n}", "ts": now_ms - 1000 + n, "user_id": f"u{n}", "topics": ["tea"], "audience": audience}
        for n, audience in enumerate(reach)
    ]
    file = folder / "events.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def until(is_so: Callable[[], bool], log: Path) -> None:
    """Return when it is so; fails with the end of a worker's log."""
    assert eventually(is_so, SOON_S), log.read_text()[-3000:]


def answer(port: int, path: str, token: str = "") -> str:
    """What a worker answers to a request with the token; empty as long as it does not answer."""
    with closing(http.client.HTTPConnection(LOCALHOST, port, timeout=5)) as connection:
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            response = connection.getresponse()
            return f"{response.headers}{response.read().decode()}"
        except OSError:
            return ""
