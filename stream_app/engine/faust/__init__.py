"""Everything that depends on the internals of Faust: app, batches, consumer, tables, recovery."""
