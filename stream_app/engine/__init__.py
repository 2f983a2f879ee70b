"""The Faust side: batches in, ledgers kept in tables, curves exchanged, flags out."""
