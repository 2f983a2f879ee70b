"""Secrets: never shown, read from the environment or a file; and credentials that do not fit together."""

import logging
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.logs import logging_config
from stream_app.settings import SECRETS, Settings, SettingsError, environment_name, environment_of_child, load
from stream_app.settings.secret import HIDDEN, Redaction, Secret, SecretUrl
from stream_app.settings.text import as_environment, setting_text

PLANTED = "planted-Pa55-long-enough"


@given(st.text(st.characters(codec="utf-8"), min_size=12))
def test_a_secret_is_never_shown(text: str) -> None:
    secret = Secret(text)
    assert secret.reveal() == text
    assert f"{secret} {secret!r} {secret:>30}".replace(" ", "") == f"{HIDDEN}Secret('{HIDDEN}'){HIDDEN}"
    settings = Settings(kafka_protocol="SASL_SSL", kafka_user="ann", kafka_password=secret)
    assert setting_text("kafka_password", settings.kafka_password) == HIDDEN
    assert HIDDEN in repr(settings)
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)


@pytest.mark.parametrize(
    ("url", "shown", "host"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0", "127.0.0.1"),
        (f"rediss://ann:{PLANTED}@cache:6380/1", "rediss://ann:***@cache:6380/1", "cache"),
        (f"redis://:{PLANTED}@cache/0", "redis://***@cache/0", "cache"),
        (f"redis://{PLANTED}@cache/0", "redis://***@cache/0", "cache"),
        (f"redis://ann:pa/ss@{PLANTED}@cache/0", "redis://ann:***@cache/0", "ann"),
        (f"redis://cache/0?password={PLANTED}", "redis://cache/0?***", "cache"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1", ""),
        (PLANTED, "***", ""),
        ("", "", ""),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str, host: str) -> None:
    secret = SecretUrl(url)
    assert str(secret) == shown
    assert secret.host == host
    assert PLANTED not in repr(secret)
    assert secret.has_password == ("***" in shown and "://" in shown)


@given(st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=4))
def test_a_secret_is_taken_out_of_texts_however_it_is_written(text: str) -> None:
    redacted = Redaction([Secret(text)])
    for written in (
        text,
        repr({"password": text}),
        repr(text.encode()),
        f"b'\\x00ann\\x00{text}'",
        f"redis://ann:{text}@x",
    ):
        assert HIDDEN in redacted(written)
        assert text not in redacted(written).replace(HIDDEN, "*")


def test_a_token_is_taken_out_though_nobody_knew_it() -> None:
    assert Redaction([])(r"b'n,,\x01auth=Bearer eyJ0.ab-c_d.e/f=\x01\x01'") == r"b'n,,\x01auth=Bearer ***\x01\x01'"


def test_log_records_and_their_tracebacks_hold_no_secret() -> None:
    settings = Settings(kafka_protocol="SASL_SSL", kafka_user="ann", kafka_password=Secret(PLANTED))
    formatter = logging_config(settings)["formatters"]["line"]["()"]()
    try:
        raise ValueError(f"cannot use {PLANTED}")
    except ValueError:
        record = logging.LogRecord("kafka", logging.DEBUG, "", 1, "with %s", ({"password": PLANTED},), sys.exc_info())
    line = formatter.format(record)
    assert "Traceback" in line
    assert PLANTED not in line


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_every_secret_can_come_from_a_file(name: str, tmp_path: Path) -> None:
    urls = {"redis_url": "rediss://ann:planted-Pa55@cache/0", "otlp_url": "https://ann:planted-Pa55@otel/"}
    text = urls.get(name, PLANTED)
    (tmp_path / "secret").write_text(f"{text}\n")
    needed = {
        "kafka_password": {"kafka_protocol": "SASL_SSL", "kafka_user": "ann"},
        "kafka_key_password": {"kafka_protocol": "SSL", "kafka_cert_file": "own.pem"},
        "redis_key_password": {"redis_url": "rediss://cache/0", "redis_cert_file": "own.pem"},
    }.get(name, {})
    environ = {environment_name(other): value for other, value in needed.items()}
    environ[f"{environment_name(name)}_FILE"] = str(tmp_path / "secret")
    settings = load(environ)
    assert getattr(settings, name).reveal() == text
    assert load(as_environment(settings)) == settings
    with pytest.raises(SettingsError, match=r"_FILE are both set: set one of them"):
        load({**environ, environment_name(name): text})


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for path, why in (
        ("nowhere", "No such file"),
        (str(tmp_path), "Is a directory"),
        (tmp_path / "bytes", "not UTF-8"),
    ):
        with pytest.raises(SettingsError, match=f"STREAM_APP_KAFKA_PASSWORD_FILE=.*cannot be read .*{why}"):
            load({"STREAM_APP_KAFKA_PASSWORD_FILE": str(path)})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kafka_password": PLANTED}, "STREAM_APP_KAFKA_PASSWORD is set, but STREAM_APP_KAFKA_PROTOCOL is PLAINTEXT"),
        ({"kafka_ca_file": "ca.pem"}, "STREAM_APP_KAFKA_CA_FILE is set, but STREAM_APP_KAFKA_PROTOCOL is PLAINTEXT"),
        ({"kafka_protocol": "SASL_SSL"}, "needs STREAM_APP_KAFKA_USER and STREAM_APP_KAFKA_PASSWORD"),
        ({"kafka_protocol": "SASL_SSL", "kafka_sasl": "OAUTHBEARER"}, "needs STREAM_APP_KAFKA_TOKEN_FILE"),
        (
            {"kafka_protocol": "SASL_SSL", "kafka_user": "a", "kafka_password": PLANTED, "kafka_token_file": "t"},
            "STREAM_APP_KAFKA_TOKEN_FILE is set, but STREAM_APP_KAFKA_SASL is SCRAM-SHA-512",
        ),
        (
            {"kafka_protocol": "SASL_SSL", "kafka_sasl": "OAUTHBEARER", "kafka_token_file": "t", "kafka_user": "a"},
            "STREAM_APP_KAFKA_USER is set, but STREAM_APP_KAFKA_SASL is OAUTHBEARER",
        ),
        ({"kafka_protocol": "SSL", "kafka_key_file": "k"}, "STREAM_APP_KAFKA_CERT_FILE is not"),
        ({"redis_cert_file": "c"}, "STREAM_APP_REDIS_URL does not begin with rediss://"),
        ({"redis_url": "rediss://x", "redis_key_password": PLANTED}, "STREAM_APP_REDIS_CERT_FILE is not"),
        ({"production": "perhaps"}, "STREAM_APP_PRODUCTION='perhaps': Expected `bool`"),
    ],
)
def test_credentials_that_do_not_fit_together_are_reported(given: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({environment_name(name): value for name, value in given.items()})
    assert message in str(caught.value)
    assert PLANTED not in str(caught.value)


def test_a_child_has_the_settings_it_is_given_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_APP_REDIS_URL_FILE", "elsewhere")
    monkeypatch.setenv("OTHER", "kept")
    child = environment_of_child({"STREAM_APP_REDIS_URL": "redis://here"})
    assert child["STREAM_APP_REDIS_URL"] == "redis://here"
    assert child["OTHER"] == "kept"
    assert "STREAM_APP_REDIS_URL_FILE" not in child
