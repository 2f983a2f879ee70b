"""How signals are stored: events as they see them, columns, and the log beside the ledger's."""
