"""How state is stored and replayed: segments, ownership epochs, the ledger store."""
