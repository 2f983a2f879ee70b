"""The changelog: how state is stored and replayed. Segments, ownership epochs, the ledger store."""
