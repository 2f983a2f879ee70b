"""How many different selections one client and one address may look at, so that there is always room for others.

A browser with a session is a client of its own, and who has the token opens as many sessions as they like: only their
address bounds them together.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stream_app.serving.api.params import ScopeParams
from stream_app.serving.api.push.page_updates import MOST_SELECTIONS, MOST_UNKNOWN, UnknownScopeError, is_start

SESSION_SHARE = 0.1
"""Of all selections, for one session: a person with as many tabs."""


class OwnSelectionsError(RuntimeError):
    """A client, or its address, looks at as many different selections as it may."""


class FairShares:
    """The selections that each client and each address looks at."""

    def __init__(self, is_known: Callable[[ScopeParams], bool], address_share: float) -> None:
        """`is_known`: whether somebody talks about a topic; `address_share`: of all selections, for one address."""
        self._is_known = is_known
        self._address_share = address_share
        self._held: dict[str, Counter[ScopeParams]] = {}

    @contextmanager
    def one_more(self, asked: ScopeParams, address: str, client: str) -> Iterator[None]:
        """Count it for the length of the block; without a session the client is the address.

        What the page begins with is free. Raises OwnSelectionsError, UnknownScopeError.
        """
        shares = {} if is_start(asked) else {client: SESSION_SHARE, address: self._address_share}
        for holder, share in shares.items():
            self._require_room(asked, self._held.get(holder, Counter()), share)
        for holder in shares:
            self._held.setdefault(holder, Counter())[asked] += 1
        try:
            yield
        finally:
            for holder in shares:
                self._release(holder, asked)

    def _require_room(self, asked: ScopeParams, held: Counter[ScopeParams], share: float) -> None:
        if asked in held:
            return
        known = sum(map(self._is_known, held))
        if not self._is_known(asked) and len(held) - known >= _part(MOST_UNKNOWN, share):
            raise UnknownScopeError(asked)
        if known >= (most := _part(MOST_SELECTIONS, share)):
            raise OwnSelectionsError(
                f"{most} different topics and roles are open in your browser, or at your address: close some; behind a "
                "proxy raise STREAM_APP_HTTP_MAX_CONNECTIONS_PER_ADDRESS"
            )

    def _release(self, holder: str, asked: ScopeParams) -> None:
        held = self._held[holder]
        held[asked] -= 1
        if not held[asked]:
            del held[asked]
        if not held:
            del self._held[holder]


def _part(most: int, share: float) -> int:
    return max(int(most * share), 1)
