"""How settings may be written: capitals, spaces, line ends and byte order marks around a value do not matter."""

import codecs
import re
from pathlib import Path
from unittest.mock import Mock

import pytest
from prometheus_client import CollectorRegistry

from stream_app.alerts.http_server import ProbeServer
from stream_app.demo.embedded.process import free_port
from stream_app.kafka.options import read_token
from stream_app.ops.doctor.machine import worker
from stream_app.serving.http.auth import Access
from stream_app.serving.http.server import HttpServer
from stream_app.settings import Settings, SettingsError, load
from stream_app.settings.hosts import host_port
from stream_app.settings.references import content
from tests.servers.tracker import ROOT


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("log_level", "debug", "DEBUG"),
        ("log_level", " Warning\n", "WARNING"),
        ("kafka_protocol", "ssl", "SSL"),
        ("partitioner", "MURMUR2", "murmur2"),
        ("production", " TRUE ", True),
        ("production", "False\r\n", False),
        ("partitions", " 8 ", 8),
        ("share", "0.7\n", 0.7),
        ("window_s", " 24H ", 86_400),
        ("posts_topic", " my.posts\r", "my.posts"),
        ("metric_topics", " tea , coffee ,", ("tea", "coffee")),
        ("http_host", "[::1]", "::1"),
        ("http_host", "::1", "::1"),
        ("brokers", "\ufeffhost:9092 ", "host:9092"),
    ],
)
def test_a_setting_is_read_whatever_stands_around_it(name: str, text: str, value: object) -> None:
    assert getattr(load({f"STREAM_APP_{name.upper()}": text}), name) == value
    assert getattr(load({}, {name: text}), name) == value


def test_what_is_none_of_the_choices_is_an_error_that_lists_them() -> None:
    with pytest.raises(SettingsError, match="STREAM_APP_LOG_LEVEL='loud'"):
        load({"STREAM_APP_LOG_LEVEL": "loud"})


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b" \n\n"])
def test_a_secret_in_a_file_is_read_without_mark_and_line_end(mark: bytes, end: bytes, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(mark + b"a-long-secret-of-24-bytes" + end)
    settings = load({"STREAM_APP_HTTP_TOKEN_FILE": str(file)})
    assert settings.http_token.reveal() == "a-long-secret-of-24-bytes"
    assert content(str(file)) == "a-long-secret-of-24-bytes"
    assert read_token(Settings(kafka_token_file=str(file), kafka_protocol="SASL_SSL", kafka_sasl="OAUTHBEARER"))
    assert (
        read_token(Settings(kafka_token_file=str(file), kafka_protocol="SASL_SSL", kafka_sasl="OAUTHBEARER"))
        == "a-long-secret-of-24-bytes"
    )


def test_an_address_has_brackets_around_ipv6() -> None:
    assert host_port("::1", 6066) == host_port("[::1]", 6066) == "[::1]:6066"
    assert host_port("127.0.0.1", 6066) == "127.0.0.1:6066"


async def test_an_ipv6_address_in_a_message_has_brackets() -> None:
    elsewhere = "2001:db8::1"  # of the documentation: no machine has it
    with pytest.raises(OSError, match=r"cannot listen on \[2001:db8::1\]:6066 "):
        await HttpServer(CollectorRegistry(), Mock(), Access(Settings())).start(elsewhere, 6066)
    with pytest.raises(OSError, match=r"cannot listen on \[2001:db8::1\]:6067 "):
        ProbeServer(elsewhere, 6067, CollectorRegistry(), is_live=bool, is_ready=bool, bound_hit=lambda _bound: None)
    (finding,) = worker(Settings(http_host="::1", http_port=free_port()))
    assert finding.found.startswith("nothing listens at [::1]:")


def test_nobody_writes_a_host_and_a_port_in_another_way() -> None:
    by_hand = re.compile(r"\{[a-z_.]*(host|hostname|reachable\(\w+\))\}:\{")
    found = [str(path) for path in (ROOT / "stream_app").rglob("*.py") if by_hand.search(path.read_text())]
    assert found == [str(ROOT / "stream_app" / "settings" / "hosts.py")]
