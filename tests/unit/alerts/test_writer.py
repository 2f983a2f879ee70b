"""The writer of undelivered messages: as many flags of a digest as the topic takes, and the message in any case."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from kafka.errors import MessageSizeTooLargeError

from stream_app.alerts.state import writer as writer_module
from stream_app.alerts.state.writer import StateWriter
from stream_app.core.messages import Undelivered
from stream_app.settings import Settings
from tests.board_samples import a_flag


class Broker:
    """Takes records of up to `most` bytes."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.values: list[bytes] = []

    def send(self, _topic: str, value: bytes, _key: bytes) -> Any:
        def get(_timeout_s: float) -> None:
            if len(value) > self.most:
                raise MessageSizeTooLargeError
            self.values.append(value)

        return SimpleNamespace(get=get)

    def flush(self, _timeout_s: float) -> None: ...


@pytest.mark.parametrize(("most", "flags"), [(4_000_000, 250), (262_144, 62), (10_000, 3)])
def test_an_undelivered_digest_has_as_many_flags_as_fit(most: int, flags: int, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(most)
    monkeypatch.setattr(writer_module, "new_producer", lambda _settings, **_options: broker)
    long = "\U0001f600" * 256
    message = Undelivered(
        sink="chat",
        rule="all",
        message_id="d",
        reason="x" * 10_000,
        attempts=3,
        decided_at=1,
        given_up_at=2,
        title="1,000 more",
        text="…",
        flags=[a_flag(f"{number}{long}", long[:190], flag_id=str(number), eta_s=None) for number in range(1_000)],
    )
    StateWriter(Settings()).write_undelivered(message)
    (value,) = broker.values
    found = msgspec.json.decode(value, type=Undelivered)
    assert len(value) <= min(most, Settings().max_message_bytes)
    assert len(found.flags) == flags
    assert len(found.reason) == 1_000
