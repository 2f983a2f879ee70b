"""A password that is changed while a worker runs: the worker says so, and goes on where it was with the new one."""

from pathlib import Path

import pytest
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from stream_app.demo.embedded.process import free_port
from stream_app.settings import load
from tests.servers.security.parts import KAFKA_PASSWORDS, Secured, a_worker, answer, asked, own_topics, until
from tests.tools.acls import kafka_acls

pytestmark = pytest.mark.timeout(240)


def test_a_worker_whose_password_is_changed_says_so(kafka: Secured, tmp_path: Path) -> None:
    own = {**own_topics("rotated"), "partitions": 1}
    variables = kafka.variables("rotated", **own, http_port=free_port())
    settings = load(variables)
    kafka.allow("rotated", kafka_acls(settings)["worker"])
    kafka.allow("creator", kafka_acls(settings)["topics create"])
    assert asked(kafka.variables("creator", **own), "topics", "create").exit_code == 0
    log = tmp_path / "log.txt"
    with a_worker(variables, log):
        until(lambda: '"ready": true' in answer(settings.http_port, "/readyz"), log)
        change_password(kafka, "rotated", "planted-new")
        for node in kafka.cluster.nodes:  # what is connected stays connected, until it has to connect anew
            node.stop()
        kafka.cluster.start()
        until(
            lambda: "Kafka refuses the user rotated or the password: set STREAM_APP_KAFKA_USER" in log.read_text(), log
        )
    assert "planted" not in log.read_text()
    variables["STREAM_APP_KAFKA_PASSWORD"] = "planted-new"
    with a_worker(variables, log):
        until(lambda: '"ready": true' in answer(settings.http_port, "/readyz"), log)


def change_password(kafka: Secured, user: str, password: str) -> None:
    with kafka.administration() as admin:
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user, mechanism, password)])
    assert KAFKA_PASSWORDS[user] != password
