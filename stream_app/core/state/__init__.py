"""The rolling counts of one partition: ledger, rows, panes, scopes, interning, watermark."""
