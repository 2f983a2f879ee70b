"""Finds mass connectors, mavens and recruiters in live event streams as they emerge.

The public surface, typed and stable within a minor version; everything else in the package is private:

- `Flag`, `Cut`, `Undelivered`: the JSON records of the topics `influence.flags`, `influence.cuts` and
  `influence.undelivered`, with `FlagType` and `Role`
- `Post`, `Share`: the JSON events that the tracker reads
- `offline_cut`: the cut of a batch of counts, one per user, without Kafka; returns an `OfflineCut`

Who makes 80 % of the posts, of four people?

>>> from stream_app import offline_cut
>>> posts = {"ann": 70, "bob": 20, "cy": 6, "dee": 4}
>>> cut = offline_cut(posts, share=0.8)
>>> cut.k, cut.threshold, cut.coverage
(2, 20, 0.9)
>>> [user for user, value in posts.items() if value >= cut.threshold]
['ann', 'bob']

A record of a topic is decoded with msgspec:

>>> import msgspec
>>> from stream_app import Post
>>> msgspec.json.decode(b'{"event_id": 1, "ts": 1772323200000, "user_id": "ann"}', type=Post).kind
'post'
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.4.0"

__all__ = (
    "Cut",
    "Flag",
    "FlagType",
    "OfflineCut",
    "Post",
    "Role",
    "Share",
    "Undelivered",
    "offline_cut",
)

if TYPE_CHECKING:
    from stream_app.core.cuts.offline import OfflineCut, offline_cut
    from stream_app.core.events.schema import Post, Share
    from stream_app.core.messages import Cut, Flag, FlagType, Role, Undelivered
else:
    _MODULE_OF = {
        **dict.fromkeys(("OfflineCut", "offline_cut"), "stream_app.core.cuts.offline"),
        **dict.fromkeys(("Post", "Share"), "stream_app.core.events.schema"),
        **dict.fromkeys(("Cut", "Flag", "FlagType", "Role", "Undelivered"), "stream_app.core.messages"),
    }

    def __getattr__(name: str) -> object:
        """Import a public name on first use, so that the command line starts without numpy and msgspec."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULE_OF[name]), name)
