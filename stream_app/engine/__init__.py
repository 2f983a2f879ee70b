"""The engine: counts batches into ledgers kept in Faust tables, exchanges curves, and sends flags."""
