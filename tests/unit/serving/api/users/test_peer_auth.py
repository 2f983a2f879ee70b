"""Questions between workers: signed for one address, path, body and moment, and asked only where a worker may be."""

import pytest

from stream_app.serving.http.peer_auth import ANSWER, LIFETIME_S, QUESTION, PeerAuth
from stream_app.serving.http.problems import RefusedError
from stream_app.settings import Settings
from stream_app.settings.secret import Secret

TOKEN = Settings(http_token=Secret("planted-token-of-this-test"))
OWN = Settings(http_token=Secret("planted-token-of-this-test"), peer_secret=Secret("another-secret-of-16"))
HERE, PATH, BODY = "worker-1:6066", "/api/v1/peers/leaders", b"[]"


class Clock:
    now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


def listening(settings: Settings, clock: Clock | None = None) -> PeerAuth:
    auth = PeerAuth(settings, clock or Clock())
    auth.address = HERE
    return auth


def ask(asked: PeerAuth, headers: dict[str, str], path: str = PATH, body: bytes = BODY) -> None:
    asked.check(headers, path)
    asked.check_body(headers, body)


@pytest.mark.parametrize("settings", [TOKEN, OWN])
def test_workers_of_one_secret_know_each_other(settings: Settings) -> None:
    asking, asked = PeerAuth(settings, Clock()), listening(settings)
    question = asking.sign(HERE, PATH, BODY)
    ask(asked, question)
    answer = asked.sign_answer(question[QUESTION], b"{}")
    assert asking.is_answer(question[QUESTION], answer, b"{}")
    assert not asking.is_answer(question[QUESTION], answer, b"[]")
    assert not asking.is_answer(asking.sign(HERE, PATH, BODY)[QUESTION], answer, b"{}")
    for forged in ({}, {ANSWER: ""}, {ANSWER: "\udcff"}, {ANSWER: "0" * 64}):
        assert not asking.is_answer(question[QUESTION], forged, b"{}")


@pytest.mark.parametrize(
    ("address", "path", "body"),
    [
        ("worker-2:6066", PATH, BODY),
        (HERE, "/api/v1/peers/places", BODY),
        (HERE, PATH, b"[ ]"),
        ("evil:80", PATH, BODY),
    ],
)
def test_a_question_is_worth_nothing_elsewhere(address: str, path: str, body: bytes) -> None:
    with pytest.raises(RefusedError):
        ask(listening(TOKEN), PeerAuth(TOKEN, Clock()).sign(address, path, body))


def test_a_question_is_asked_once_and_soon() -> None:
    clock = Clock()
    asked = listening(TOKEN, clock)
    question = PeerAuth(TOKEN, Clock()).sign(HERE, PATH, BODY)
    for late_s in (LIFETIME_S + 1, -LIFETIME_S - 1):
        clock.now_s = Clock.now_s + late_s
        with pytest.raises(RefusedError, match="clocks"):
            ask(asked, question)
    clock.now_s = Clock.now_s
    ask(asked, question)
    with pytest.raises(RefusedError, match="before"):
        ask(asked, question)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "v1",
        "v1 1 2 3 4",
        "v2" + " 0" * 4,
        "v1 " + "9" * 5000,
        f"v1 1700000000000 {'0' * 32} {'0' * 64} {'0' * 64}",
        "\udcff",
    ],
)
def test_what_is_no_signature_is_refused(given: str) -> None:
    with pytest.raises(RefusedError, match="STREAM_APP_PEER_SECRET"):
        ask(listening(TOKEN), {QUESTION: given})


def test_another_secret_is_refused_also_one_that_is_the_token_of_the_other() -> None:
    with pytest.raises(RefusedError, match="secret"):
        ask(listening(OWN), PeerAuth(TOKEN, Clock()).sign(HERE, PATH, BODY))


def test_the_secret_is_in_no_question() -> None:
    asking = PeerAuth(TOKEN, Clock())
    assert TOKEN.http_token.reveal() not in str(asking.sign(HERE, PATH, BODY))


@pytest.mark.parametrize(
    "address", ["worker-1:6066", "10.0.0.1:80", "[fd00::1]:6066", "a.b.example:65535", "a_b:1", "x:1"]
)
def test_a_worker_is_asked_at_host_and_port(address: str) -> None:
    assert PeerAuth(TOKEN).may_ask(address)


@pytest.mark.parametrize(
    "address",
    [
        *("", ":80", "host", "host:", "host:0", "host:65536", "host:99999", "host:80/path", "host:80?x", "host:80#x"),
        *(
            "user@host:80",
            "user:password@host:80",
            "host:80@evil",
            "//host:80",
            "http://host:80",
            "host :80",
            "host:80 ",
        ),
        *(
            "host:80\r\nX: y",
            "host\n:80",
            "host:80\n",
            "hö.st:80",
            "host:٣",
            "[::1]",
            "::1:80",
            "[x]:80",
            "[::1%eth0]:80",
        ),
        *(
            "a" * 300 + ":80",
            "-x:80",
            "x-:80",
            ".:80",
            "..:80",
            "host:+80",
            "host:080",
            "host:8_0",
            "\x00:80",
            "h\\t:80",
        ),
    ],
)
def test_anything_else_is_not_asked(address: str) -> None:
    assert not PeerAuth(TOKEN).may_ask(address)


def test_without_a_secret_only_workers_on_this_machine_are_asked() -> None:
    auth = PeerAuth(Settings())
    assert not auth.sign(HERE, PATH, BODY)
    assert auth.may_ask("127.0.0.1:6066")
    assert auth.may_ask("[::1]:6066")
    assert not auth.may_ask("10.0.0.1:6066")
    assert not auth.may_ask("localhost.evil.example:80")
