"""Rows of a Parquet file as JSON."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from stream_app.sources.recorded_event import EventFileError

_ROWS_PER_BATCH = 10_000


def rows_as_json(path: Path) -> Iterator[bytes]:
    """Yield each row as a JSON object without its nulls; timestamps as epoch ms. Raises EventFileError."""
    try:
        with pq.ParquetFile(path) as file:
            if not file.metadata.num_rows:
                raise EventFileError(f"{path} holds no row; name a file with one event a row")
            for batch in file.iter_batches(_ROWS_PER_BATCH):
                for row in _with_plain_times(batch).to_pylist():
                    yield _json(row)
    except pa.ArrowException as error:
        raise EventFileError(f"{path} is not a readable Parquet file: {error}; export it again") from error


def _with_plain_times(batch: Any) -> Any:
    """The batch with every column of timestamps as epoch ms; those without a zone are UTC, as Parquet means them."""
    for place, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type):
            times = batch.column(place).cast(pa.timestamp("ms", field.type.tz), safe=False).cast(pa.int64())
            batch = batch.set_column(place, field.name, times)
    return batch


def _json(row: dict[str, Any]) -> bytes:
    """The row without its nulls; NaN is how a column of floats says null."""
    plain = {name: _plain(value) for name, value in row.items() if value is not None and value == value}  # noqa: PLR0124
    try:
        return msgspec.json.encode(plain)
    except UnicodeEncodeError:  # text that is not UTF-8: the tracker rejects it, and says so
        return json.dumps(plain, ensure_ascii=False, default=str).encode(errors="surrogateescape")


def _plain(value: Any) -> Any:
    """BINARY is how many writers store text, and DECIMAL how databases store numbers."""
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list):
        return [_plain(item) for item in value if item is not None]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
