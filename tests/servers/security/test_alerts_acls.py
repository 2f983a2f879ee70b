"""The alerts process works with exactly the documented permissions, and not with one fewer."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from subprocess import TimeoutExpired

import msgspec
import pytest
from kafka import KafkaProducer

from stream_app.demo.embedded.process import spawn
from stream_app.settings import Settings, load
from tests.servers.security.parts import Secured, own_topics, ran
from tests.servers.security.test_acls import DENIED
from tests.tools.acls import Acl, kafka_acls
from tests.unit.alerts.parts import Hook, a_flag, a_hook, to_hook
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(300)

SOON_S = 60.0
STOP_S = 15.0


class AlertedTracker:
    """A tracker whose flags are delivered to a webhook."""

    def __init__(self, kafka: Secured, folder: Path, hook: Hook) -> None:
        self._kafka = kafka
        self._file = folder / "alerts.yaml"
        self._file.write_text(json.dumps(to_hook(hook)))
        self.settings: Settings = load(self.variables("nobody"))
        for user, command in (("creator", "topics create"), ("alerter", "alerts run"), ("rehearser", "alerts dry-run")):
            kafka.allow(user, kafka_acls(self.settings)[command])
        ran(self.variables("creator"), "topics", "create")

    def variables(self, user: str) -> dict[str, str]:
        own = own_topics("alerted") | {"partitions": "1", "session_timeout_s": "3s", "alerts_http_port": "0"}
        return self._kafka.variables(user, **own, alerts_file=self._file)

    @contextmanager
    def running(self, log: Path) -> Iterator[None]:
        with log.open("wb") as out:
            process = spawn([sys.executable, "-m", "stream_app", "alerts", "run"], out, self.variables("alerter"))
        try:
            yield
        finally:
            process.terminate()
            with suppress(TimeoutExpired):
                process.wait(STOP_S)
            process.kill()
            process.wait()

    def raise_flag(self, name: str) -> None:
        with closing(KafkaProducer(bootstrap_servers=self._kafka.cluster.administration)) as producer:
            producer.send(self.settings.flags_topic, msgspec.json.encode(a_flag(name)), b"u").get(SOON_S)


def test_the_process_needs_every_one_of_its_permissions_and_no_others(kafka: Secured, tmp_path: Path) -> None:
    with a_hook() as hook:
        run = AlertedTracker(kafka, tmp_path, hook)
        log = tmp_path / "all.txt"
        with run.running(log):
            assert eventually(lambda: "active: " in log.read_text(), SOON_S), log.read_text()
            hook.answers = [(403, {})]
            run.raise_flag("f1")
            run.raise_flag("f2")
            assert eventually(lambda: hook.ids == ["f2"], SOON_S), log.read_text()
        assert not DENIED.search(log.read_text())
        done = ran(run.variables("rehearser"), "alerts", "dry-run", "--json")
        assert json.loads(done.stdout)["flags"] == 2
        for number, (acl, operation) in enumerate(each(kafka_acls(run.settings)["alerts run"])):
            kafka.forbid("alerter", acl.resource, acl.name, operation)
            log = tmp_path / f"{number}.txt"
            hook.always = 403  # so that it has to write to the undelivered ones, too
            with run.running(log):
                run.raise_flag(f"g{number}")
                assert eventually(partial(is_denied, log), SOON_S), (acl, operation, log.read_text())
            kafka.allow("alerter", [acl._replace(operations=(operation,))])


def is_denied(log: Path) -> bool:
    return bool(DENIED.search(log.read_text()))


def each(acls: list[Acl]) -> Iterator[tuple[Acl, str]]:
    for acl in acls:
        for operation in acl.operations:
            yield acl, operation
