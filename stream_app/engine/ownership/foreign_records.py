"""Foreign records in a changelog: why a worker does not go on without them, and what to do."""

from stream_app.kafka.records import Partition

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError)
"""What replaying damaged segments raises; FormatError is a ValueError."""


class ForeignRecordError(RuntimeError):
    """A changelog holds what no worker of this release has written. The message says what to do."""


def foreign_record(log: Partition, what: str) -> str:
    """Say what to do about a record of a changelog that no worker of this release has written.

    Whatever is left out of a changelog is missing from the counts. Only workers may write there, so it is not input.
    """
    return (
        f"the changelog {log.topic}-{log.partition} holds what this release cannot read ({what}). Has another release "
        "written it? Then run that one. Only workers may write there (docs/security.md has the ACLs): if somebody else "
        "has, take that right away and write a record without a value under the same key, which deletes it; or stop "
        "all workers and run `stream-app reset`, which counts again what the inputs still hold"
    )
