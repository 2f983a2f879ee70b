"""The rolling counts of one partition: ledger, rows, panes, deduplication, interning, watermark."""
