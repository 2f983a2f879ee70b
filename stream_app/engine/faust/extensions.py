"""Whether Faust and aiokafka run with their C extensions: without them they are slower, with the same results."""

from aiokafka.record.default_records import DefaultRecordBatch
from faust import streams


def missing_extensions() -> list[str]:
    """The libraries that run without theirs."""
    missing = []
    if getattr(streams, "_CStreamIterator", None) is None:
        missing.append("faust")
    if "_crecords" not in DefaultRecordBatch.__module__:
        missing.append("aiokafka")
    return missing
