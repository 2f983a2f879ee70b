"""The format of record batches: unpacking within bounds, reading what may be malformed. No I/O."""
