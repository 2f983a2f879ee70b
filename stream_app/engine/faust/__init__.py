"""All that knows Faust from inside: app, batches, tables, recovery."""
