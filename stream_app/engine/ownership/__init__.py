"""Ownership of partitions: rebalance, fencing, topic identity, lost records."""
