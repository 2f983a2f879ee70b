"""How workers know each other: every question and every answer between them is signed with a secret that they share.

A signature is for one address, path, body and moment. So who receives a question, because the address of a worker was
written to Kafka by somebody else, can neither ask another worker with it nor answer it. The API's token is never sent.
Without a secret a worker listens to this machine only, and asks and answers nobody else.
"""

import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import blake2b, sha256

from stream_app.serving.http.problems import RefusedError
from stream_app.settings import Settings
from stream_app.settings.hosts import is_loopback

QUESTION = "X-Stream-App-Peer"
ANSWER = "X-Stream-App-Peer-Answer"
LIFETIME_S = 30.0
"""How old a question may be, or how far ahead: the clocks of workers may differ by so much."""
_MOST_NONCES = 20_000
_SIGNED = re.compile(r"v1 ([0-9]{10,16}) ([0-9a-f]{32}) ([0-9a-f]{64}) ([0-9a-f]{64})")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?):([1-9][0-9]{0,4})")
_MOST_PORT = 65_535


class PeerAuth:
    """Signs and checks."""

    def __init__(self, settings: Settings, clock_s: Callable[[], float] = time.time) -> None:
        self._key = _key_of(settings)
        self._clock_s = clock_s
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.address = ""
        """host:port under which the others ask this worker, once it listens."""

    @property
    def has_secret(self) -> bool:
        """Whether there is anything to sign with."""
        return bool(self._key)

    def may_ask(self, address: str) -> bool:
        """Whether it is host:port and nothing else; without a secret, of this machine."""
        found = _ADDRESS.fullmatch(address)
        return found is not None and int(found[3]) <= _MOST_PORT and (self.has_secret or is_loopback(found[1]))

    def sign(self, address: str, path: str, body: bytes) -> dict[str, str]:
        """The headers of a question to a worker; none without a secret."""
        if not self._key:
            return {}
        parts = f"{round(self._clock_s() * 1000)} {secrets.token_hex(16)} {sha256(body).hexdigest()}"
        return {QUESTION: f"v1 {parts} {self._mac('question', address, path, parts)}"}

    def check(self, headers: Mapping[str, str], path: str) -> None:
        """Return where another worker asks, before its body is read. Raises RefusedError."""
        found = _SIGNED.fullmatch(headers.get(QUESTION, ""))
        if found is None:
            raise RefusedError(
                401, "only workers ask here, signed with STREAM_APP_PEER_SECRET or STREAM_APP_HTTP_TOKEN"
            )
        sent_ms, nonce, digest, mac = found.groups()
        if not hmac.compare_digest(self._mac("question", self.address, path, f"{sent_ms} {nonce} {digest}"), mac):
            raise RefusedError(
                401,
                "the signature is not of this worker's secret and address: all workers need the same "
                "STREAM_APP_PEER_SECRET or STREAM_APP_HTTP_TOKEN",
            )
        if abs(self._clock_s() - int(sent_ms) / 1000) > LIFETIME_S:
            raise RefusedError(401, f"the question is not of the last {LIFETIME_S:g} s: do the clocks differ?")
        if nonce in self._seen:
            raise RefusedError(401, "this question was asked before")
        self._seen[nonce] = None
        if len(self._seen) > _MOST_NONCES:
            self._seen.popitem(last=False)

    def check_body(self, headers: Mapping[str, str], body: bytes) -> None:
        """Return where the body is the one that was signed. Raises RefusedError."""
        found = _SIGNED.fullmatch(headers.get(QUESTION, ""))
        if self._key and (found is None or not hmac.compare_digest(sha256(body).hexdigest(), found[3])):
            raise RefusedError(401, "the body is not the one that was signed")

    def sign_answer(self, question: str, body: bytes) -> dict[str, str]:
        """The headers of an answer to a question, of which the header is given."""
        return {ANSWER: self._mac("answer", question, sha256(body).hexdigest())} if self._key else {}

    def is_answer(self, question: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether a worker gave the answer, and to this question."""
        if not self._key:
            return True
        given = headers.get(ANSWER, "").encode(errors="replace")
        return hmac.compare_digest(self._mac("answer", question, sha256(body).hexdigest()).encode(), given)

    def _mac(self, *parts: str) -> str:
        text = "\n".join(parts).encode(errors="surrogatepass")
        return hmac.digest(self._key, text, "sha256").hex()


def _key_of(settings: Settings) -> bytes:
    """Made from the secret of the workers, or from the token that they have in common; empty without either."""
    secret = settings.peer_secret.reveal() or settings.http_token.reveal()
    if (settings.disclosure.is_limited or settings.http_tokens_file) and not settings.peer_secret:
        secret = secrets.token_hex()  # else anybody with the token could ask for what is held back, as a worker
    return blake2b(secret.encode(), person=b"peers", digest_size=32).digest() if secret else b""
